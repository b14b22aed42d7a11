/** Policies of one architecture translated to another. */
import { test } from 'tap'
import { compileFilter } from '../../src/filter/compile.ts'
import { evaluate, resolvePolicy } from '../../src/filter/evaluate.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import type { AllowedSyscall, Comparison, PolicyDocument } from '../../src/generated/policy.ts'
import { type ArchitectureName, decodePolicy, encodePolicy } from '../../src/policy/document.ts'
import { kernelCalls } from '../../src/policy/kernel-calls.ts'
import { THREAD_AREA } from '../../src/policy/startable.ts'
import { translatePolicy } from '../../src/policy/translate.ts'
import { randomRange } from '../lib/comparisons.ts'
import { NAMES } from '../lib/imports.ts'
import { policy, run } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

const ALL: readonly ArchitectureName[] = ['x86_64', 'x86', 'x32', 'aarch64', 'arm']
const INT = 0xffff_ffff

interface Options {
  from?: ArchitectureName
  to?: ArchitectureName
  widen?: boolean
  siblings?: boolean
}

/** Of calls of one architecture, without siblings unless asked for. */
function translate(calls: readonly (string | AllowedSyscall)[], options: Options = {}) {
  const { from = 'x86_64', to = 'aarch64', widen = false, siblings = false } = options
  const syscalls = calls.map((call) => (typeof call === 'string' ? { name: call } : call))
  const document = policy([], { architectures: { [from]: { known: NAMES.highest(from), syscalls } } })
  const result = translatePolicy(document, { from, to, widen, siblings }, NAMES)
  // What nobody could enforce is no translation.
  decodePolicy(encodePolicy(result.policy), 'x')
  compileFilter(seccompLibrary(), result.policy, 'errno')
  const needed = [THREAD_AREA[to] ?? '', ...kernelCalls(to)]
  const made = (result.policy.architectures[to]?.syscalls ?? []).filter(({ name }) => !needed.includes(name as string))
  const [added, notes] = [true, false].map((one) => result.notes.filter((note) => note.startsWith('added') === one))
  return { policy: result.policy, names: made.map(({ name }) => name), made, needed, added, notes: notes as string[] }
}

/** Whether the result allows a call. */
function allows(document: PolicyDocument, architecture: ArchitectureName, name: string, ...args: (number | bigint)[]) {
  const resolved = resolvePolicy(document, NAMES.numberOf, []).find((one) => one.name === architecture)
  if (resolved === undefined) throw new Error('no list')
  return evaluate(resolved, NAMES.numberOf(architecture, name) as number, args.map(BigInt)) === 'allow'
}

const seen = (name: string, indexes: number[], ...values: number[][]): AllowedSyscall => ({
  name,
  since: 'a',
  learned: { arguments: indexes, values },
})

test('calls by name, or as what does the same there; what is left out is said', async (t) => {
  const { names, notes } = translate([
    'read',
    'open',
    'access',
    'time',
    'dup2',
    'epoll_wait',
    'modify_ldt',
    'arch_prctl',
  ])
  t.same(
    names,
    'clock_gettime dup3 epoll_pwait epoll_pwait2 faccessat faccessat2 gettimeofday openat openat2 read'.split(' '),
  )
  t.same(notes, [
    'made as other calls on aarch64: access -> faccessat, faccessat2; dup2 -> dup3; epoll_wait -> epoll_pwait, epoll_pwait2; ' +
      'open -> openat, openat2; time -> clock_gettime, gettimeofday;',
    'no call of aarch64 does the same (left out): modify_ldt',
    'not needed on aarch64: arch_prctl',
  ])
  t.same(translate([{ number: 600 }, 'read']).notes, ['calls without a name (left out): #600'])
})

test('what stands in for a call does no more than it', async (t) => {
  const { policy: forks } = translate(['fork'])
  const clone = (flags: number) => allows(forks, 'aarch64', 'clone', flags)
  t.ok(clone(17), 'SIGCHLD')
  t.ok(clone(17 | 0x0120_0000), 'and the ids in memory')
  t.ok(clone(0x4111), 'vfork')
  for (const flag of [0x1000_0000, 0x0001_0000, 0x0002_0000, 0x2000_0000, 0x100])
    t.notOk(clone(17 | flag), String(flag))
  const { policy: files } = translate(['unlink', 'getpgrp', 'creat', 'pipe'])
  t.ok(allows(files, 'aarch64', 'unlinkat', 0, 0, 0))
  t.notOk(allows(files, 'aarch64', 'unlinkat', 0, 0, 0x200), 'AT_REMOVEDIR')
  t.ok(allows(files, 'aarch64', 'getpgid', 0))
  t.notOk(allows(files, 'aarch64', 'getpgid', 1))
  t.ok(allows(files, 'aarch64', 'openat', 0, 0, 0o1101))
  t.notOk(allows(files, 'aarch64', 'openat', 0, 0, 0o2), 'reading what is there')
  t.notOk(allows(files, 'aarch64', 'pipe2', 0, 0o40000), 'O_DIRECT')
  const { policy: back } = translate([seen('clone', [0], [17], [0x3d0f00])], { from: 'aarch64', to: 'x86_64' })
  t.ok(allows(back, 'x86_64', 'fork'), 'as clone does it')
  t.notOk(allows(back, 'x86_64', 'vfork'))
  t.ok(allows(back, 'x86_64', 'clone', 0x3d0f00))
  const threads = translate([seen('clone', [0], [0x3d0f00])], { from: 'aarch64', to: 'x86_64' })
  t.same(threads.names, ['clone'], 'threads are no forks')
})

test('what every program needs there is added', async (t) => {
  t.match(translate(['read'], { from: 'aarch64', to: 'x86_64' }).added, [
    'added, as programs of x86_64 set up thread-local storage with it: arch_prctl',
  ])
  for (const to of ALL) {
    const from = to === 'x86_64' ? 'aarch64' : 'x86_64'
    const list = translate(['read', 'exit_group'], { from, to }).policy.architectures[to]
    const names = list?.syscalls.map(({ name }) => name)
    for (const name of kernelCalls(to)) t.ok(names?.includes(name), `${name} on ${to}`)
  }
})

test('no call is dropped without a word, between any two architectures', async (t) => {
  for (const from of ALL) {
    for (const to of ALL.filter((one) => one !== from)) {
      for (const name of NAMES.all(from)) {
        const { policy: result, notes } = translatePolicy(
          policy([], { architectures: { [from]: { known: 471, syscalls: [{ name }] } } }),
          { from, to, widen: false, siblings: false },
          NAMES,
        )
        const calls = result.architectures[to]?.syscalls.map((call) => call.name) ?? []
        const said = notes.some((note) => note.split(/[ :,;]+/).includes(name))
        if (!calls.includes(name) && !said) t.fail(`${name} from ${from} to ${to}: ${calls} (${notes})`)
        if (NAMES.numberOf(to, name) !== undefined && !calls.includes(name)) t.fail(`${name} is on ${to} as well`)
      }
    }
  }
  t.pass('20 ways')
})

test('all calls of an architecture at once, with siblings, compile for every other one', async (t) => {
  for (const from of ['x86_64', 'aarch64'] as const) {
    for (const to of ALL.filter((one) => one !== from)) {
      const all = [...NAMES.all(from)]
      const { names } = translate(all, { from, to, siblings: true })
      t.ok(names.length > 0.8 * Math.min(all.length, [...NAMES.all(to)].length), `${from} to ${to}: ${names.length}`)
    }
  }
})

test('there and back again is the same list of those that both have', async (t) => {
  const common = [...NAMES.all('aarch64')].filter((name) => NAMES.numberOf('x86_64', name) !== undefined)
  const there = translate(common)
  const back = translate(there.names as string[], { from: 'aarch64', to: 'x86_64' })
  t.same(
    common.filter((name) => !back.names.includes(name) && !back.needed.includes(name)),
    [],
  )
})

test('flags of open have other bits on ARM', async (t) => {
  // O_RDWR, O_CREAT, O_CLOEXEC are the same; O_DIRECT, O_LARGEFILE, O_DIRECTORY, O_NOFOLLOW are not.
  const [same, direct, directory, noFollow] = [0o2000102, 0o40000, 0o200000, 0o400000]
  const [armDirect, armDirectory, armNoFollow] = [0o200000, 0o40000, 0o100000]
  const openat = { ...seen('openat', [2], [same | direct], [directory], [noFollow]) }
  const strict = translate([openat]).made
  t.same(strict, [
    {
      name: 'openat',
      learned: { arguments: [2], values: [[armDirectory], [armNoFollow], [same | armDirect]] },
    },
  ])
  const opened = translate([seen('open', [1], [directory])])
  t.same(opened.names, ['openat'], 'openat2 has its flags in memory')
  t.ok(allows(opened.policy, 'aarch64', 'openat', 0, 0, armDirectory))
  t.notOk(allows(opened.policy, 'aarch64', 'openat', 0, 0, armDirect))
  t.ok(allows(opened.policy, 'aarch64', 'openat', 0, 0, armDirectory | 0o2000000), 'O_CLOEXEC gives no power')
  const back = translate(strict, { from: 'aarch64', to: 'x86_64' }).made.find(({ name }) => name === 'openat')
  t.same(back?.learned?.values, [[directory], [noFollow], [same | direct]])
  const rule: Comparison = { index: 2, op: 'masked==', value: direct, mask: direct | directory }
  const ruled = translate([{ name: 'openat', rules: [[rule]] }]).policy
  t.ok(allows(ruled, 'aarch64', 'openat', 0, 0, armDirect | armNoFollow))
  t.notOk(allows(ruled, 'aarch64', 'openat', 0, 0, armDirect | armDirectory))
  const narrow = translate([seen('openat', [2], [0])], { to: 'arm' })
  t.ok(allows(narrow.policy, 'arm', 'openat', 0, 0, 0o400000), 'O_LARGEFILE, which 32-bit programs set')
})

test('values that differ with the width, or the architecture', async (t) => {
  const values = (call: AllowedSyscall, options: Options) => {
    const { made, notes } = translate([call], options)
    return { values: made.flatMap(({ learned }) => learned?.values.map((one) => one.at(-1)) ?? []), notes }
  }
  const narrow: Options = { to: 'x86' }
  const wide: Options = { from: 'x86', to: 'x86_64' }
  t.same(values(seen('mprotect', [2], [1], [5]), {}).values, [1, 5, 21], 'code may be guarded')
  t.same(values(seen('mprotect', [2], [1], [21]), { from: 'aarch64', to: 'x86_64' }).values, [1, 5])
  t.same(values(seen('shmctl', [1], [2]), narrow).values, [2, 258], 'IPC_64')
  t.same(values(seen('shmctl', [1], [258]), wide).values, [2])
  t.same(values(seen('setsockopt', [1, 2], [1, 20], [6, 20]), narrow).values, [20, 66, 20])
  t.same(values(seen('setsockopt', [1, 2], [1, 66]), wide).values, [20])
  t.same(values(seen('ioctl', [1], [0x5401], [0x80045430]), {}).values, [0x5401, 0x80045430])
  const sized = values(seen('ioctl', [1], [0x5401], [0x80045430]), narrow)
  t.same(sized.values, [0x5401])
  t.match(sized.notes, ['arguments that mean something else on x86 (left out): ioctl(2147767344)'])
  const traced = values(seen('ptrace', [0], [0], [12], [0x4204]), {})
  t.same(traced.values, [0, 0x4204], 'PTRACE_GETREGS is x86')
  t.match(traced.notes, [/left out\): ptrace\(12\)/])
  const locks = translate([seen('fcntl', [1], [6], [1])], narrow)
  t.same(locks.names, ['fcntl', 'fcntl64'])
  for (const op of [1, 6, 13]) t.ok(allows(locks.policy, 'x86', 'fcntl64', 0, op), String(op))
  t.notOk(allows(locks.policy, 'x86', 'fcntl64', 0, 5))
  t.same(translate([seen('mmap', [2], [1])], narrow).names, ['mmap2'], "x86's mmap has its arguments in memory")
})

test('rules: carried where they mean the same, left out and said where not, widened if asked for', async (t) => {
  const rules = (index: number, op: Comparison['op'] = '=='): Comparison[][] => [[{ index, op, value: 3 }]]
  const write = { name: 'write', rules: rules(0) }
  t.ok(allows(translate([write]).policy, 'aarch64', 'write', 3), 'the same position')
  const narrow = translate([write, 'read'], { to: 'arm' })
  t.same(narrow.names, ['read'])
  t.match(narrow.notes, [
    'allowed with arguments that cannot be said on arm (left out): write',
    'argument rules that mean something else on arm (left out): write',
  ])
  const widened = translate([write], { to: 'arm', widen: true })
  t.same(widened.made, [{ name: 'write' }])
  t.match(widened.notes, [/mean something else/, 'widened to any arguments: write'])
  const clone = translate([{ name: 'clone', rules: rules(3) }, 'read'])
  t.same(clone.names, ['read'], 'tls and child_tid change places')
  const opened = translate([{ name: 'open', rules: rules(1) }, 'read'], { widen: true })
  t.same(opened.names, ['openat', 'read'], 'what could be carried is not widened')
  const creat = translate([{ name: 'creat', rules: rules(1) }], { widen: true })
  t.match(creat.made, [{ name: 'openat', rules: [[{ index: 2 }]] }], 'but not beyond what does the same')
})

test('property: a rule that is carried allows the same arguments, whatever stands above an int of 32 bits', async (t) => {
  const random = new Random(11)
  const operators: Comparison['op'][] = ['==', '!=', '<', '<=', '>', '>=', 'masked==', 'range']
  for (let round = 0; round < 400; round++) {
    const [from, to] = random.pick([
      ['x86', 'x86_64'],
      ['arm', 'aarch64'],
      ['x86', 'arm'],
      ['x86_64', 'aarch64'],
      ['aarch64', 'x86_64'],
    ] as const)
    const number = () => random.pick([0, 1, INT, INT - 1, random.below(16), Number(random.bigint(32))])
    const rule = [0, 1, 2].slice(0, 1 + random.below(3)).map((index): Comparison => {
      const op = random.pick(operators)
      const [a, b] = [number(), number()]
      if (op === 'range') return randomRange(random, index, 32, () => BigInt(number()))
      // One that never holds is left out.
      if (op === '<') return { index, op, value: Math.max(a, 1) }
      if (op === '>') return { index, op, value: Math.min(a, INT - 1) }
      return op === 'masked==' ? { index, op, value: (a & b) >>> 0, mask: b } : { index, op, value: a }
    })
    const call = { name: 'socket', rules: [rule] }
    const before = policy([], { architectures: { [from]: { known: 471, syscalls: [call] } } })
    const { policy: after, notes } = translate([call], { from, to })
    if (notes.some((note) => note.includes('socket'))) t.fail(`${notes}`, { rule })
    for (let probe = 0; probe < 20; probe++) {
      const args = rule.map(({ value }) => random.pick([number(), Number(value), Number(value) + 1, Number(value) - 1]))
      const low = args.map((value) => BigInt(value >>> 0))
      const upper = from === 'x86' || from === 'arm' ? random.pick([0n, 0xffff_ffffn, 1n]) << 32n : 0n
      const high = to === 'arm' ? low : low.map((value) => value | upper)
      if (allows(before, from, 'socket', ...low) !== allows(after, to, 'socket', ...high))
        return t.fail(`${from} to ${to}: ${high}`, { rule, made: after.architectures[to]?.syscalls })
    }
  }
  t.pass('400 rules')
})

test('socketcall and ipc are the calls that they stand for, and the other way round', async (t) => {
  const options: Options = { from: 'x86', to: 'aarch64' }
  const some = translate([seen('socketcall', [0], [1], [3], [9])], options)
  t.same(some.names, ['connect', 'sendto', 'socket'])
  t.match(some.notes, [/made as other calls on aarch64: send -> sendto; socketcall -> socket, connect, send;/])
  t.equal(translate(['ipc'], options).names.length, 12)
  const back = translate(['socket', 'semop', seen('bind', [0], [1])], { to: 'x86' })
  const socketcall = back.made.find(({ name }) => name === 'socketcall')
  t.match(socketcall?.rules, [[{ index: 0, value: 1 }]])
  t.ok(allows(back.policy, 'x86', 'ipc', 0x1_0001), 'the upper half of the first argument is a version')
  t.notOk(allows(back.policy, 'x86', 'ipc', 2))
  const certain = translate([seen('socket', [0, 1, 2], [1, 1, 0])], { to: 'x86' })
  t.same(certain.names, ['socket'], 'socketcall has its arguments in memory')
})

test('what people said goes with the calls; runs and their marks do not', async (t) => {
  const document = policy(
    [{ name: 'open', count: 7, since: 'a', reasons: ['x'], comments: ['y'] }, { name: 'creat', via: 'open' }, 'read'],
    { runs: [run('a')], complete: true, comments: ['z'], widening: 'strict' },
  )
  const options = { from: 'x86_64', to: 'aarch64', widen: false, siblings: false } as const
  const { policy: result } = translatePolicy(document, options, NAMES)
  t.match(result, { complete: false, runs: [], comments: ['z'], widening: 'strict' })
  t.same(Object.keys(result.architectures), ['aarch64'])
  t.same(result.architectures.aarch64?.syscalls[0], { name: 'openat', count: 7, reasons: ['x'], comments: ['y'] })
  const wide = translatePolicy(document, { ...options, siblings: true }, NAMES).policy
  t.same(
    wide.architectures.aarch64?.syscalls.find(({ name }) => name === 'openat2'),
    { name: 'openat2', count: 7, reasons: ['x'], comments: ['y'] },
  )
})

test('as many of the newest calls are unknown there as here', async (t) => {
  const known = (from: ArchitectureName, to: ArchitectureName, number: number) => {
    const document = policy([], { architectures: { [from]: { known: number, syscalls: [{ name: 'read' }] } } })
    const options = { from, to, widen: false, siblings: false }
    return translatePolicy(document, options, NAMES).policy.architectures[to]?.known
  }
  t.equal(known('x86_64', 'aarch64', NAMES.highest('x86_64')), NAMES.highest('aarch64'))
  t.equal(known('x86_64', 'aarch64', 450), 450)
  t.equal(known('aarch64', 'x86', 0), 0)
  t.equal(known('x86_64', 'arm', 450), NAMES.highest('arm'))
})
