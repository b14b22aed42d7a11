// Arguments with eBPF: the same combinations as with ptrace, and never a call that is said to have been seen without them.

import t from 'tap'
import { TRACER_ARGUMENTS } from '../../src/generated/tracer-arguments.ts'
import {
  type BundleOptions,
  countsOf,
  eventsOf,
  finishedLines,
  type Line,
  learnHookWith,
  makeBundle,
  printed,
  readLines,
  run,
  start,
  statusField,
  type Teardown,
  until,
} from './harness.ts'

/** As the tracer takes them (tracer/learn/combinations.h). */
const OF_ONE = 4096
const OF_ALL = 24_576

const learn = async (t: Teardown, backend: string, list: string, options: BundleOptions) => {
  const bundle = await makeBundle(t, { ...options, hook: [...learnHookWith(backend), '--arguments', list] })
  const result = await run(bundle)
  const lines = await finishedLines(bundle.output)
  return { result, lines, finish: lines.at(-1) ?? {} }
}

const combinationsOf = (lines: Line[]): string[] =>
  [...eventsOf(lines, 'arguments'), ...eventsOf(lines, 'arguments-full')]
    .map(({ event, arch, nr, arguments: indexes, values }) => JSON.stringify([event, arch, nr, indexes, values]))
    .sort()

/** Calls of the list whose line stands before any that says something of its arguments. */
const early = (lines: Line[], list: string): string[] => {
  const wanted = new Set(list.split(',').map((item) => item.replace(/:\d+$/, '')))
  const known = new Set<string>()
  const found: string[] = []
  for (const { event, arch, nr } of lines) {
    const call = `${arch}:${nr}`
    if (event === 'arguments' || event === 'arguments-full') known.add(call)
    if (event === 'seen' && wanted.has(call) && !known.has(call)) found.push(call)
  }
  return found
}

const combine = (...args: string[]): BundleOptions => ({ args: ['/bin/combine', ...args], programs: ['combine'] })
const shell = (script: string): BundleOptions => ({ args: ['/bin/busybox', 'sh', '-c', script] })
const deny = (...names: string[]) => ({
  defaultAction: 'SCMP_ACT_ALLOW',
  architectures: ['SCMP_ARCH_X86_64'],
  syscalls: [{ names, action: 'SCMP_ACT_ERRNO', errnoRet: 1 }],
})

const EACH = 'x86_64:39:1,x86_64:110:63,x86_64:102:5,x86_64:104:2,x86_64:107:63,x86_64:108:8,x86_64:186:63'

const PROGRAMS: Record<string, { list?: string; options: BundleOptions; full?: number; racy?: string[] }> = {
  'each ABI': { list: 'x86_64:110:63,x32:39:63,x86:20:63', options: combine('abis') },
  'some of the arguments': { list: 'x86_64:110:22,x32:39:1,x86:20:32', options: combine('abis') },
  'several calls': { list: EACH, options: combine('few', '300', '7') },
  'as many as are kept of one call': { list: EACH, options: combine('few', String(OF_ONE), '2') },
  'one more': { list: EACH, options: combine('few', String(OF_ONE + 1), '2'), full: 2 },
  'more than are kept of all calls': { list: EACH, options: combine('few', '4000', '7'), full: 1 },
  'threads that come at the same time': { list: EACH, options: combine('race', '1000') },
  'calls that a filter denies': {
    list: EACH,
    options: { ...combine('few', '100', '7'), seccomp: deny('getppid', 'getuid'), noNewPrivileges: true },
  },
  'a 32-bit program': {
    list: 'x86:4:1,x86:20:1,x86:252:1',
    options: { args: ['/bin/exact32'], programs: ['exact32'] },
  },
  'a shell': { options: shell('busybox uname; busybox ls / | busybox wc -l; (exit 3)') },
  'a dynamic program': { options: { args: ['/bin/dynamic'], programs: ['dynamic'] } },
  // futex: only if a thread has not ended yet when it is joined
  'all ways to make a task': { options: { args: ['/bin/family'], programs: ['family'] }, racy: ['"x86_64",202,'] },
}

for (const [name, { list = String(TRACER_ARGUMENTS.x64), options, full = 0, racy = [] }] of Object.entries(PROGRAMS)) {
  t.test(`the combinations are those that ptrace sees: ${name}`, async (t) => {
    const traced = await learn(t, 'ptrace-syscall', list, options)
    const watched = await learn(t, 'ebpf', list, options)
    const steady = (lines: Line[]) => combinationsOf(lines).filter((text) => !racy.some((part) => text.includes(part)))
    t.equal(watched.result.exitCode, traced.result.exitCode)
    t.strictSame(steady(watched.lines), steady(traced.lines))
    t.ok(steady(traced.lines).length > 0)
    t.equal(eventsOf(watched.lines, 'arguments-full').length, full)
    t.same(early(watched.lines, list), [])
    t.same([traced.finish.complete, watched.finish.complete], [true, true])
    t.match(watched.lines[0], { backend: 'ebpf', detail: 'args' })
  })
}

t.test('the low halves of the arguments, by each ABI', async (t) => {
  const { result, lines } = await learn(t, 'ebpf', 'x86_64:110:63,x32:39:63,x86:20:63', combine('abis'))
  t.equal(result.exitCode, 21)
  const from = (first: number) => Array.from({ length: 6 }, (_, index) => (first + index) >>> 0)
  t.match(eventsOf(lines, 'arguments'), [
    { arch: 'x86_64', nr: 110, arguments: [0, 1, 2, 3, 4, 5], values: from(10) },
    { arch: 'x86_64', nr: 110, values: from(-20) },
    { arch: 'x32', nr: 39, values: from(30) },
    { arch: 'x32', nr: 39, values: from(-40) },
    { arch: 'x86', nr: 20, values: from(50) },
    { arch: 'x86', nr: 20, values: from(-60) },
  ])
  t.match(countsOf(lines), { 'x86_64:110': 3, 'x32:39': 3, 'x86:20': 3 })
})

t.test('threads that see a combination first at the same time do not make it two, nor too many', async (t) => {
  for (let round = 0; round < 5; round++) {
    const { lines, finish } = await learn(t, 'ebpf', 'x86_64:110:63', combine('race', String(OF_ONE)))
    t.equal(new Set(combinationsOf(lines)).size, OF_ONE)
    t.equal(eventsOf(lines, 'arguments').length, OF_ONE)
    t.same(eventsOf(lines, 'arguments-full'), [])
    t.match(countsOf(lines), { 'x86_64:110': 12 * OF_ONE })
    t.equal(finish.complete, true)
  }
})

t.test('what does not fit is said to be any', async (t) => {
  const { lines, finish } = await learn(t, 'ebpf', EACH, combine('few', '5000', '7'))
  t.same(
    eventsOf(lines, 'arguments-full')
      .map(({ nr }) => nr)
      .sort((a, b) => a - b),
    [39, 102, 104, 107, 108, 110, 186],
  )
  t.equal(eventsOf(lines, 'arguments').length, OF_ALL)
  t.equal(finish.complete, true)
})

t.test('kill -9 of the tracer: what is left has arguments for each call that was seen', async (t) => {
  const list = 'x86_64:110:63,x86_64:1:3,x86_64:35:3'
  for (let i = 0; i < 3; i++) {
    const hook = [...learnHookWith('ebpf'), '--arguments', list]
    const bundle = await makeBundle(t, { args: ['/bin/spin'], programs: ['spin'], hook })
    const running = start(bundle)
    await printed(running, 'ready')
    const { tracerPid } = (await readLines(bundle.output))[0] ?? {}
    await until('a call is seen', async () =>
      eventsOf(await readLines(bundle.output), 'seen').some(({ nr }) => nr === 110),
    )
    process.kill(tracerPid, 'SIGKILL')
    await until('the tracer is gone', async () => /^Z|^$/.test((await statusField(tracerPid, 'State')) ?? ''))
    running.stdin.end()
    t.equal((await running).exitCode, 9, 'unharmed')
    const lines = await readLines(bundle.output)
    t.ok(eventsOf(lines, 'arguments').some(({ nr }) => nr === 110))
    t.same(early(lines, list), [])
    t.same(eventsOf(lines, 'finish'), [])
  }
})

t.test('auto takes eBPF for arguments as well', async (t) => {
  const { lines, finish } = await learn(t, 'auto', 'x86_64:39:1', { args: ['/bin/exact'] })
  t.match(lines[0], { backend: 'ebpf', detail: 'args' })
  t.same(eventsOf(lines, 'warn'), [])
  t.match(finish, { backend: 'ebpf', complete: true })
})
