/** What policies of many argument rules cost: their compilation, and a call under them. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seccompLibrary } from '../src/filter/library.ts'
import type { PolicyDocument } from '../src/generated/policy.ts'
import { encodePolicy } from '../src/policy/document.ts'
import type { Workspace } from './container.ts'
import {
  allowAll,
  defaultProfile,
  libseccomps,
  ours,
  policyOf,
  usualNames,
  valueAt,
  values,
} from './filter-programs.ts'
import { FIXTURES, OCI_SANDBOX } from './paths.ts'
import { median, medianDifference, quantile, shuffled } from './statistics.ts'
import type { Table } from './table.ts'

const ROUNDS = 15
/** Calls of each kind in one round. */
const CALLS = 1_000_000

/** Milliseconds, and nanoseconds more than without a filter. */
const GOAL_COMPILE = 150
const GOAL_UNCHECKED = 20
const GOAL_CHECKED = 40

export function benchFilter(workspace: Workspace, rounds = ROUNDS): Table[] {
  return [benchCompile(workspace, rounds), benchFilteredCalls(workspace, rounds)]
}

const TEN = ['openat', 'fcntl', 'prctl', 'futex', 'socket', 'ioctl', 'mmap', 'madvise', 'setsockopt', 'clone']

function policies(): Record<string, PolicyDocument> {
  const ten = TEN.map((name, at) => ({ name, rules: values(250, at % 5) }))
  const pairs = TEN.map((name, at) => ({
    name,
    rules: values(250, 1).map((rule, value) => [{ index: 0, op: '==' as const, value: value % (at + 3) }, ...rule]),
  }))
  return {
    '60 calls': policyOf(usualNames(60)),
    '60 calls, 2,500 values of one': policyOf([
      ...usualNames(59, ['ioctl']),
      { name: 'ioctl', rules: values(2500, 1) },
    ]),
    '60 calls, 250 values of ten each': policyOf([...usualNames(50, TEN), ...ten]),
    '60 calls, 250 pairs of values of ten each': policyOf([...usualNames(50, TEN), ...pairs]),
  }
}

function benchCompile(workspace: Workspace, rounds: number): Table {
  const folder = workspace.folder('filter')
  const cases = Object.entries(policies()).map(([name, policy], index) => {
    const path = join(folder, `${index}.json`)
    writeFileSync(path, encodePolicy(policy))
    const programs = ours(policy)
    return { name, path, size: programs.map(({ length }) => length / 8).join(' + '), whole: [], alone: [] }
  }) as { name: string; path: string; size: string; whole: number[]; alone: number[] }[]
  const once = join(import.meta.dirname, 'compile-once.ts')
  const quiet = ['--disable-warning=ExperimentalWarning']
  for (let round = 0; round < rounds; round++) {
    for (const { path, whole, alone } of shuffled(cases)) {
      const start = performance.now()
      execFileSync(OCI_SANDBOX, ['compile', path, '-o', join(folder, 'out.bpf'), '--no-cache'])
      whole.push(performance.now() - start)
      alone.push(Number(execFileSync(process.execPath, [...quiet, once, path], { encoding: 'utf8' })))
    }
  }
  const worst = Math.max(...cases.slice(1).flatMap(({ whole, alone }) => [median(whole), median(alone)]))
  const cell = (times: number[]) => [median(times).toFixed(1), Math.min(...times).toFixed(1)]
  return {
    title: 'What compiling a policy costs',
    header: [
      'ms, uncached, proof included',
      'instructions',
      'oci-sandbox compile',
      'fastest',
      'function alone',
      'fastest',
    ],
    rows: cases.map(({ name, size, whole, alone }) => [name, size, ...cell(whole), ...cell(alone)]),
    notes: [
      `Medians of ${rounds} rounds. The whole process reads and checks the policy, too; the function alone is in Node, its first use, the loading of libseccomp included.`,
      `The slowest policy of 2,500 rules: ${worst.toFixed(0)} ms, the goal is under ${GOAL_COMPILE} ms: ${met(worst < GOAL_COMPILE)}.`,
    ],
  }
}

/** The calls that are timed; the kernel ignores what they are given. */
const RULES = 2000
const TIMED = {
  'getppid()': ['getppid', 0],
  'getuid(first)': ['getuid', valueAt(0)],
  'getuid(middle)': ['getuid', valueAt(RULES / 2)],
  'getuid(last)': ['getuid', valueAt(RULES - 1)],
} as const

/** Kernels before 5.16 keep a filtered process from speculative stores (SSBD), unless they are told otherwise. */
const UNGUARDED = 'the same, with SPEC_ALLOW'

function benchFilteredCalls(workspace: Workspace, rounds: number): Table {
  const policy = (count: number) => policyOf([...usualNames(60, ['getuid']), { name: 'getuid', rules: values(count) }])
  const filters: Record<string, readonly Uint8Array[]> = {
    'no filter': [],
    'a filter that allows all': allowAll(),
    [UNGUARDED]: allowAll(),
    'one that reads an argument, and allows all': allowAll(true),
    'ours, 60 calls and 2,000 values': ours(policy(RULES)),
    'ours, 60 calls and 9,000 values': ours(policy(9000)),
    "libseccomp's, 60 calls and 2,000 values": libseccomps(policy(RULES), 1),
    "libseccomp's binary tree, the same": libseccomps(policy(RULES), 2),
    "containers' default profile": defaultProfile(),
  }
  const folder = workspace.folder('filtered')
  const calls = Object.values(TIMED).map(([name, value]) => `${seccompLibrary().resolveName('x86_64', name)},${value}`)
  const cases = Object.entries(filters).map(([name, programs], at) => {
    const files = programs.map((_, index) => join(folder, `${at}.${index}`))
    for (const [index, program] of programs.entries()) writeFileSync(files[index] as string, program)
    const size = programs.map(({ length }) => length / 8).join(' + ')
    return { name, size, files, times: calls.map((): number[] => []), fastest: calls.map((): number[] => []) }
  })
  for (let round = 0; round < rounds; round++) {
    for (const { name, files, times, fastest } of shuffled(cases)) {
      const args = [`${CALLS}${name === UNGUARDED ? 's' : ''}`, ...files, '--', ...calls]
      const lines = execFileSync(join(FIXTURES, 'filtered'), args, { encoding: 'utf8' }).trim().split('\n')
      for (const [index, line] of lines.entries()) {
        const [least, middle] = line.split(' ').map(Number)
        times[index]?.push(middle as number)
        fastest[index]?.push(least as number)
      }
    }
  }
  type Timed = (typeof cases)[number]
  const named = (start: string) => cases.find(({ name }) => name.startsWith(start)) as Timed
  const none = named('no filter')
  const added = (one: Timed, index: number) =>
    medianDifference(one.fastest[index] as number[], none.fastest[index] as number[])
  const cell = (one: Timed, index: number) => {
    const sign = added(one, index) < 0 ? '' : '+'
    return `${median(one.times[index] as number[]).toFixed(0)} (${sign}${added(one, index).toFixed(0)})`
  }
  const mine = named('ours')
  const most = (one: Timed) => Math.max(...calls.map((_, index) => added(one, index)).slice(1))
  const checked = most(mine)
  const spread = quantile(none.fastest[0] ?? [], 0.9) - quantile(none.fastest[0] ?? [], 0.1)
  return {
    title: 'What a call costs under a filter of many rules',
    header: ['ns a call (added to no filter)', 'instructions', ...Object.keys(TIMED)],
    rows: cases.map((one) => [one.name, one.size || '0', ...calls.map((_, index) => cell(one, index))]),
    notes: [
      `Medians of ${rounds} rounds of ${CALLS.toLocaleString('en')} calls each, every filter in each round. In brackets: the median over the rounds of what the fastest of 101 batches took more than without a filter in the same round (without one it moves by ${spread.toFixed(0)} ns itself). getuid has the values, and the default profile none.`,
      `A call without arguments: ${added(mine, 0).toFixed(1)} ns more, the goal is at most ${GOAL_UNCHECKED}: ${met(added(mine, 0) <= GOAL_UNCHECKED)}. A call checked against 2,000 values: ${checked.toFixed(1)} ns more, the goal is at most ${GOAL_CHECKED}: ${met(checked <= GOAL_CHECKED)}.`,
      `The kernel's own share of that, whatever a filter says: ${added(named('a filter that allows all'), 0).toFixed(1)} ns for having one, ${most(named('one that reads')).toFixed(1)} ns for running one that reads an argument.`,
    ],
  }
}

function met(good: boolean): string {
  return good ? 'met' : 'MISSED'
}
