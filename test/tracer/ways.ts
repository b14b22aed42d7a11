// The ways of watching: how to ask for them, and what a record says of calls that were not watched.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type BundleOptions,
  eventsOf,
  finishedLines,
  type Line,
  learnHookWith,
  makeBundle,
  run,
  type Teardown,
  temporary,
} from './harness.ts'

export const learn = async (t: Teardown, way: string[], options: BundleOptions) => {
  const bundle = await makeBundle(t, { ...options, hook: [...learnHookWith('auto'), ...way] })
  const result = await run(bundle)
  const lines = await finishedLines(bundle.output) // with eBPF nobody holds the container back
  return { bundle, result, lines, finish: lines.at(-1) ?? {} }
}

export const knownFile = async (t: Teardown, calls: string[]): Promise<string> => {
  const file = join(await temporary(t), 'known')
  await writeFile(file, ['# calls', ...calls.map((call) => call.replace(':', ' '))].map((line) => `${line}\n`).join(''))
  return file
}

/** What the record says of the calls that were not watched: "x86_64:0". */
export const knownOf = (lines: Line[]): string[] =>
  eventsOf(lines, 'known').flatMap(({ arch, numbers }) => numbers.map((nr: number) => `${arch}:${nr}`))

export const unique = (calls: string[]): string[] => [...new Set(calls)].sort()

/** The tracer itself chooses another way than eBPF, which cannot be had. */
export const NOT_EBPF = ['NO-EBPF']
export const SYSCALL = ['--backend', 'ptrace-syscall']
export const TRACE = ['--backend', 'ptrace-trace']
export const ADAPTIVE = ['--backend', 'ptrace-adaptive', '--patience', '10']

export const withFilters = async (t: Teardown): Promise<Record<string, string[]>> => ({
  'ptrace-trace': TRACE,
  'ptrace-adaptive': ADAPTIVE,
  'ptrace-known': ['--backend', 'ptrace-known', '--known', await knownFile(t, ['x86_64:110'])],
})

/** futex: only if a thread has not ended yet when it is joined. */
export const RACY = ['x86_64:202']
