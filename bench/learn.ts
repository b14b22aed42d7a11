/** What learning costs while the program runs, against the program alone and against strace in the same container. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { Container, Run, Workspace } from './container.ts'
import { DEMO_ROOTFS } from './paths.ts'
import { fixture, learned } from './sandbox.ts'
import { median, shuffled } from './statistics.ts'
import type { Table } from './table.ts'

const ROUNDS = 5

const WORKLOADS: Readonly<Record<string, Container>> = {
  'dd bs=1 (400,000 calls)': {
    args: ['/usr/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', 'count=200000', 'status=none'],
  },
  'tar of a /usr/share': {
    // Through a pipe: tar does not read files that it writes to /dev/null.
    args: shell('tar cf - -C /tree . | cat >/dev/null'),
    mounts: { '/tree': join(DEMO_ROOTFS, 'usr/share') },
  },
  'python imports x20': {
    args: shell(repeat(20, "python3 -c 'import asyncio, json, re, socket, subprocess, tempfile'")),
    env: ['PYTHONDONTWRITEBYTECODE=1'],
  },
  'gcc x5': {
    args: shell(repeat(5, 'gcc -O2 -o /tmp/small /bench/small.c')),
    ...onlyMounts(fixture('small.c')),
  },
  '4 threads (200,000 calls)': fixture('threads', '4', '50000'),
}

function shell(command: string): string[] {
  return ['/bin/sh', '-ec', command]
}

function repeat(times: number, command: string): string {
  return Array.from({ length: times }, () => command).join('\n')
}

function onlyMounts({ mounts }: Container): Pick<Container, 'mounts'> {
  return mounts === undefined ? {} : { mounts }
}

/** Ways of watching, as the host configuration names them. `auto` here is a policy's first run, `known` a later one. */
const BACKENDS = ['auto', 'ebpf', 'ptrace-syscall', 'ptrace-trace', 'ptrace-adaptive'] as const
const KNOWN = 'ptrace-known'
/** `auto` with more detail than names, each time a policy's first run. */
const DETAILS = ['args', 'paths'] as const
const STRACE = { 'strace -f': [], 'strace -f -c': ['-c'] } as const

export async function benchLearn(workspace: Workspace, rounds = ROUNDS): Promise<Table> {
  const rows: string[][] = []
  const modes = [...BACKENDS, KNOWN, ...DETAILS, ...Object.keys(STRACE)]
  for (const [name, container] of Object.entries(WORKLOADS)) {
    const seconds = await measure(workspace, container, rounds)
    const native = seconds('native')
    const cell = (mode: string) => `${seconds(mode).toFixed(3)} (${(seconds(mode) / native).toFixed(1)}x)`
    const ours = (mode: string) => `${(seconds('strace -f') / seconds(mode)).toFixed(1)}x`
    rows.push([name, native.toFixed(3), ...modes.map(cell), ours('auto'), ours('ptrace-syscall')])
  }
  const version = spawnSync('strace', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0]
  return {
    title: 'What learning costs',
    header: ['seconds (ratio to native)', 'native', ...modes, 'strace -f / auto', 'strace -f / ptrace-syscall'],
    rows,
    notes: [
      `${rounds} rounds, medians of whole \`runc run\`s with the hooks, less that of /bin/true without hooks. ${version}.`,
      `Each run is its policy's first, but for ${KNOWN}: there two earlier runs have seen the same.`,
      `${DETAILS.join(' and ')}: \`auto\` with that io.sandbox.detail; all others record names.`,
    ],
  }
}

/** The median of a mode in seconds, less the start of a container. */
async function measure(workspace: Workspace, container: Container, rounds: number): Promise<(mode: string) => number> {
  const known = workspace.store(KNOWN, { learn: { backend: KNOWN } })
  const again = workspace.prepare(learned(container, known, `known-${process.hrtime.bigint()}`))
  const runs: Record<string, () => Run> = {
    start: workspace.prepare({ args: ['/bin/true'] }),
    native: workspace.prepare(container),
    [KNOWN]: again,
  }
  for (const backend of BACKENDS) runs[backend] = learnAnew(workspace, container, backend)
  for (const detail of DETAILS) runs[detail] = learnAnew(workspace, container, 'auto', detail)
  for (const [name, options] of Object.entries(STRACE)) runs[name] = workspace.prepare(traced(container, ...options))
  const times: Record<string, number[]> = Object.fromEntries(Object.keys(runs).map((mode) => [mode, []]))
  // Not measured: they fill the caches, and the policy whose calls are known.
  for (const run of [runs.native, again, again]) run?.() // what two runs have shown is known
  for (let round = 0; round < rounds; round++) {
    for (const mode of shuffled(Object.keys(runs))) {
      times[mode]?.push((runs[mode] as () => Run)().ms)
      await turn() // a signal that came meanwhile is seen
    }
  }
  const of = (mode: string) => median(times[mode] ?? [])
  return (mode) => (of(mode) - of('start')) / 1000
}

/** Each run is a policy's first: nothing is known of the program. */
function learnAnew(workspace: Workspace, container: Container, backend: string, detail = 'names'): () => Run {
  const store = workspace.store(`learn-${backend}-${detail}`, { learn: { backend } })
  return () => {
    const { annotations, ...rest } = learned(container, store, `run-${process.hrtime.bigint()}`)
    return workspace.prepare({ ...rest, annotations: { ...annotations, 'io.sandbox.detail': detail } })()
  }
}

function traced(container: Container, ...options: string[]): Container {
  return { ...container, args: ['/usr/bin/strace', '-f', ...options, '-o', '/dev/null', ...container.args] }
}
