/** The programs of the virtual machine, the ways of watching them, and how their records are read. */

import type { PolicyDocument } from '../../src/generated/policy.ts'
import { policyOfRun } from '../../src/learn/run.ts'
import { decodeStream } from '../../src/learn/stream.ts'
import { canonicalPolicy } from '../../src/policy/document.ts'
import { SYSCALL_NAMES } from '../../src/policy/syscall-names.ts'
import type { Step } from './machine.ts'

/** Programs, and what they end with. */
export type Programs = Readonly<Record<string, { readonly end: string; readonly words?: string }>>

export const SHORT: Programs = {
  exact: { end: 'exit 6' },
  arm: { end: 'exit 8' },
  thumb: { end: 'exit 8' },
  family: { end: 'exit 0' },
  asks: { end: 'exit 3' },
}
export const LONG: Programs = {
  ...SHORT,
  execthread: { end: 'exit 6' },
  signals: { end: 'exit 0' },
  stop1: { end: 'exit 5' },
  switching: { end: 'exit 14' },
  refusing: { end: 'exit 13' },
  tracing: { end: 'exit 13', words: 'refusing trace' },
  stress: { end: 'exit 11', words: 'stress 2' },
  sleeper: { end: 'exit 10' },
}

/** What is tried by itself. */
const OTHERS = ['runtime', 'untraced', 'spin', 'opens']

/** The files of all of them. */
export function filesOf(programs: Programs): string[] {
  const names = Object.entries(programs).map(([name, { words = name }]) => words.split(' ')[0] as string)
  return [...new Set([...OTHERS, ...names])]
}

export const WAYS = {
  syscall: { options: '--backend ptrace-syscall', backend: 'ptrace-syscall' },
  trace: { options: '--backend ptrace-trace', backend: 'ptrace-trace' },
  adaptive: { options: '--backend ptrace-adaptive --patience 3', backend: 'ptrace-adaptive' },
  known: { options: '--backend ptrace-known --known /known', backend: 'ptrace-known' },
  ebpf: { options: '--backend ebpf --denied', backend: 'ebpf' },
} as const

/** What /known says: write and getpid, and getpid of ARM. */
export const KNOWN = ['aarch64 64', 'aarch64 172', 'arm 20']

/** futex: only if a thread has not ended yet when it is joined. restart_syscall: where a stop interrupts a sleep. <asm-generic/unistd.h> */
const RACY = ['aarch64 98', 'aarch64 128']
export const withoutRacy = (calls: Iterable<string>): string[] =>
  [...new Set(calls)].filter((call) => !RACY.includes(call)).sort()

const NOTHING: Step = { text: '' }
export const stepOf = (steps: Readonly<Record<string, Step>>, name: string): Step => steps[name] ?? NOTHING

/** The tracer's record among what a step has printed. */
function recordOf({ text }: Step): string {
  const lines = text.split('\n').filter((line) => line.startsWith('{"event":'))
  return lines.map((line) => `${line}\n`).join('')
}

// biome-ignore lint/suspicious/noExplicitAny: the matchers check the shape of each line
export type Line = Record<string, any>
export function linesOf(step: Step): Line[] {
  const lines = recordOf(step).split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line))
}

export const eventsOf = (lines: Line[], event: string): Line[] => lines.filter((line) => line.event === event)

/** "aarch64 64" */
export const callsOf = (lines: Line[]): string[] => eventsOf(lines, 'seen').map(({ arch, nr }) => `${arch} ${nr}`)

export const countsOf = (lines: Line[]): Record<string, number> =>
  Object.fromEntries(eventsOf(lines, 'count').map(({ arch, nr, count }) => [`${arch} ${nr}`, count]))

/** The policy of a learned run, without some calls, and with futex, which depends on chance. */
export function policyOf(name: string, step: Step, ...without: string[]): PolicyDocument {
  const learned = policyOfRun(name, 'run', decodeStream(recordOf(step)), {}, SYSCALL_NAMES)
  const architectures = Object.entries(learned.architectures).map(([architecture, { known, syscalls }]) => {
    const kept = syscalls.filter(({ name: call }) => call !== 'futex' && !without.includes(call ?? ''))
    return [architecture, { known, syscalls: [...kept, { name: 'futex' }] }]
  })
  return canonicalPolicy({ ...learned, architectures: Object.fromEntries(architectures) })
}
