/** What is watched while it is measured: programs whose length is a number of units. */
import { join } from 'node:path'
import type { Container } from './container.ts'
import { DEMO_ROOTFS } from './paths.ts'
import { fixture } from './sandbox.ts'

export interface Workload {
  /** As the table's row says it. */
  readonly name: string
  /** Long enough (1 to 3 s by itself) that small differences show. */
  readonly units: number
  /** For ways that take many times as long: what each unit costs them is the same. */
  readonly few: number
  container(units: number): Container
  /** Times the program alone that we want to stay below: eBPF, and ptrace with filters. */
  readonly goals: { readonly ebpf: number; readonly filtered: number }
}

const MUCH = { ebpf: 1.3, filtered: 2 }
const USUAL = { ebpf: 1.05, filtered: 1.3 }

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'dd bs=1',
    units: 4_000_000,
    few: 25_000,
    goals: MUCH,
    container: (units) => ({
      args: ['/usr/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', `count=${units}`, 'status=none'],
    }),
  },
  {
    name: 'tar of a /usr/share',
    units: 50,
    few: 2,
    goals: USUAL,
    container: (units) => ({
      // Through a pipe: tar does not read files that it writes to /dev/null.
      args: repeat(units, 'tar cf - -C /tree . | cat >/dev/null'),
      mounts: { '/tree': join(DEMO_ROOTFS, 'usr/share') },
    }),
  },
  {
    name: 'python imports',
    units: 30,
    few: 5,
    goals: USUAL,
    container: (units) => ({
      args: repeat(units, "python3 -c 'import asyncio, json, re, socket, subprocess, tempfile'"),
      env: ['PYTHONDONTWRITEBYTECODE=1'],
    }),
  },
  {
    name: 'gcc',
    units: 35,
    few: 5,
    goals: USUAL,
    container: (units) => ({ ...fixture('small.c'), args: repeat(units, 'gcc -O2 -o /tmp/small /bench/small.c') }),
  },
  {
    name: '4 threads',
    units: 3_000_000,
    few: 10_000,
    goals: MUCH,
    container: (units) => fixture('threads', '4', String(units)),
  },
]

/** A run that makes ten million calls. */
export const TEN_MILLION = fixture('threads', '4', '2500000')

function repeat(times: number, command: string): string[] {
  return ['/bin/sh', '-ec', `i=0; while [ $i -lt ${times} ]; do ${command}; i=$((i + 1)); done`]
}
