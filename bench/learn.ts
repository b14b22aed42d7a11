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

type Mode = 'start' | 'native' | 'learn' | 'strace' | 'counting'

export async function benchLearn(workspace: Workspace, rounds = ROUNDS): Promise<Table> {
  const rows: string[][] = []
  for (const [name, container] of Object.entries(WORKLOADS)) {
    const seconds = await measure(workspace, container, rounds)
    const native = seconds('native')
    const cell = (mode: Mode) => `${seconds(mode).toFixed(3)} (${(seconds(mode) / native).toFixed(1)}x)`
    rows.push([
      name,
      native.toFixed(3),
      cell('learn'),
      cell('strace'),
      cell('counting'),
      seconds('learn') < seconds('strace') ? 'yes' : 'NO',
      `${(seconds('strace') / seconds('learn')).toFixed(2)}x`,
    ])
  }
  const version = spawnSync('strace', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0]
  return {
    title: 'What learning costs',
    header: ['seconds (ratio to native)', 'native', 'learn', 'strace -f', 'strace -f -c', 'beats strace -f', 'by'],
    rows,
    notes: [
      `${rounds} rounds, medians of whole \`runc run\`s with the hooks, less that of /bin/true without hooks. ${version}.`,
    ],
  }
}

/** The median of a mode in seconds, less the start of a container. */
async function measure(workspace: Workspace, container: Container, rounds: number): Promise<(mode: Mode) => number> {
  const runs: Record<Mode, () => Run> = {
    start: workspace.prepare({ args: ['/bin/true'] }),
    native: workspace.prepare(container),
    learn: learnAnew(workspace, container),
    strace: workspace.prepare(traced(container)),
    counting: workspace.prepare(traced(container, '-c')),
  }
  const modes = Object.keys(runs) as Mode[]
  const times: Record<Mode, number[]> = { start: [], native: [], learn: [], strace: [], counting: [] }
  runs.native() // not measured: it fills the caches
  for (let round = 0; round < rounds; round++) {
    for (const mode of shuffled(modes)) {
      times[mode].push(runs[mode]().ms)
      await turn() // a signal that came meanwhile is seen
    }
  }
  return (mode) => (median(times[mode]) - median(times.start)) / 1000
}

/** Each run is a policy's first: nothing is known of the program. */
function learnAnew(workspace: Workspace, container: Container): () => Run {
  const store = workspace.store('learn')
  return () => workspace.prepare(learned(container, store, `run-${process.hrtime.bigint()}`))()
}

function traced(container: Container, ...options: string[]): Container {
  return { ...container, args: ['/usr/bin/strace', '-f', ...options, '-o', '/dev/null', ...container.args] }
}
