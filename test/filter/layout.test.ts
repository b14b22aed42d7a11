/** Argument rules laid out: every operator on any arguments, many rules, several programs. */
import { test } from 'tap'
import { auditArch } from '../../src/filter/architectures.ts'
import { compileFilter } from '../../src/filter/compile.ts'
import { evaluate, resolvePolicy } from '../../src/filter/evaluate.ts'
import { assemble } from '../../src/filter/layout/assemble.ts'
import { Graph } from '../../src/filter/layout/graph.ts'
import { layOut } from '../../src/filter/layout/layout.ts'
import { domainsOf, ruleOf } from '../../src/filter/layout/rules.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import { Simulator } from '../../src/filter/simulate.ts'
import type { AllowedSyscall, Comparison, PolicyDocument } from '../../src/generated/policy.ts'
import type { ArchitectureName } from '../../src/policy/document.ts'
import { randomRange } from '../lib/comparisons.ts'
import { policy } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

const ALLOW = 0x7fff_0000
const EPERM = 0x0005_0001
const IOCTL = 16
const X86_64 = auditArch('x86_64')
const library = seccompLibrary()
const OPERATORS: readonly Comparison['op'][] = ['==', '!=', '<', '<=', '>', '>=', 'masked==', 'range']

const isEqual = (value: number | bigint | string, index = 1): Comparison => ({
  index,
  op: '==',
  value: value.toString(),
})

function ioctl(rules: Comparison[][], more: (string | AllowedSyscall)[] = []): PolicyDocument {
  return policy(['read', 'write', 'exit_group', { name: 'ioctl', rules }, ...more])
}

function values(count: number, step = 3): Comparison[][] {
  return Array.from({ length: count }, (_, index) => [isEqual(0x5401 + index * step)])
}

function instructions(programs: readonly Uint8Array[]): number[] {
  return programs.map(({ length }) => length / 8)
}

/** Values at the borders of a rule's comparisons, and some that are anywhere. */
function interesting(random: Random, rule: readonly Comparison[], bits: number): bigint[] {
  const args = Array.from({ length: 6 }, () => random.bigint(bits))
  for (const { index, value, to, mask } of rule) {
    const border = BigInt(random.chance(0.5) ? value : (to ?? value))
    const masked =
      mask === undefined ? [] : [border | (random.bigint(64) & ~BigInt(mask)), border ^ (BigInt(mask) & -BigInt(mask))]
    const around = [border, border, border + 1n, border - 1n, border ^ (1n << 32n), border & 0xffff_ffffn, ...masked]
    args[index] = BigInt.asUintN(bits, random.pick(around))
  }
  return args
}

/** Compares a policy's filter, which compileFilter() has proved already, with the policy evaluated plainly, call by call. */
function differing(document: PolicyDocument, calls: number, random: Random): string[] {
  const simulator = new Simulator(compileFilter(library, document, 'errno'))
  const resolved = resolvePolicy(document, (arch, name) => library.resolveName(arch, name), [])
  const wrong: string[] = []
  for (const architecture of resolved) {
    const bits = ['x86', 'arm'].includes(architecture.name) ? 32 : 64
    const ruled = [...architecture.allowed].filter(([, rules]) => rules !== null)
    for (let count = 0; count < calls && ruled.length > 0; count++) {
      const [number, rules] = random.pick(ruled)
      const args = interesting(random, random.pick(rules ?? []), bits)
      const expected = evaluate(architecture, number, args) === 'allow' ? ALLOW : EPERM
      const found = simulator.run({ arch: auditArch(architecture.name), number, args })
      if (found !== expected) wrong.push(`${architecture.name} ${number}(${args}): 0x${found.toString(16)}`)
    }
  }
  return wrong
}

function randomRule(random: Random, bits: number, pool: readonly bigint[]): Comparison[] {
  const indices = random.shuffled([0, 1, 2, 3, 4, 5]).slice(0, 1 + random.below(random.chance(0.8) ? 2 : 6))
  return indices.map((index): Comparison => {
    const op = random.pick(OPERATORS)
    // Few different values, so that rules meet; and some that are anywhere.
    const value = random.chance(0.7) ? random.pick(pool) : random.bigint(bits)
    if (op === 'range') {
      return randomRange(random, index, bits, () => (random.chance(0.7) ? random.pick(pool) : random.bigint(bits)))
    }
    if (op !== 'masked==') return { index, op, value: value.toString() }
    const mask = random.chance(0.5) ? random.pick(pool) : random.bigint(bits)
    return { index, op, value: (random.chance(0.95) ? value & mask : value).toString(), mask: mask.toString() }
  })
}

test('property: all operators, 1 to 6 arguments, on every architecture, mean what the policy says', async (t) => {
  const random = new Random(21)
  for (let round = 0; round < 150; round++) {
    const architectures: PolicyDocument['architectures'] = {}
    for (const name of random
      .shuffled<ArchitectureName>(['x86_64', 'x86', 'x32', 'aarch64', 'arm'])
      .slice(0, 1 + random.below(2))) {
      const bits = name === 'x86_64' || name === 'aarch64' ? 64 : 32
      const pool = [0n, 1n, BigInt.asUintN(bits, -1n), ...Array.from({ length: 6 }, () => random.bigint(bits))]
      const calls = random.shuffled([...library.syscalls(name).keys()]).slice(0, 2 + random.below(10))
      const syscalls = calls.map((call): AllowedSyscall => {
        if (random.chance(0.3)) return { name: call, count: random.below(1000) }
        return { name: call, rules: Array.from({ length: 1 + random.below(12) }, () => randomRule(random, bits, pool)) }
      })
      architectures[name] = { known: Math.max(...library.syscalls(name).values()), syscalls }
    }
    try {
      t.same(differing(policy([], { architectures }), 60, random), [], `round ${round}`)
    } catch (error) {
      t.fail(`round ${round}: ${error}`, { architectures })
    }
  }
})

const SHAPES: Record<string, (index: number, random: Random) => Comparison[]> = {
  'values of one argument': (index) => [isEqual(0x5401 + index * 3)],
  '64-bit values': (_, random) => [isEqual(random.bigint(64))],
  'a file and values': (index) => [isEqual(3, 0), isEqual(index * 2)],
  'pairs of values': (index, random) => [isEqual(index % 50, 0), isEqual(random.bigint(32))],
  'ranges beside each other': (index) => [
    { index: 2, op: 'masked==', value: 0, mask: '0xfffffffffffff000' },
    { index: 1, op: index % 2 ? '<=' : '==', value: 1000 + index * 10 },
  ],
  'flags and values': (index) => [{ index: 2, op: 'masked==', value: index % 16, mask: 0xff }, isEqual(index)],
}

for (const [name, shape] of Object.entries(SHAPES)) {
  test(`1 to 3,000 rules: ${name}`, async (t) => {
    const random = new Random(22)
    for (const count of [1, 2, 7, 60, 600, 3000]) {
      const rules = Array.from({ length: count }, (_, index) => shape(index, random))
      t.same(differing(ioctl(rules), 400, random), [], `${count} rules`)
    }
  })
}

test('2,000 values of one argument are found in some fifteen comparisons', async (t) => {
  const programs = compileFilter(library, ioctl(values(2000)), 'errno')
  t.equal(programs.length, 1)
  t.ok((instructions(programs)[0] as number) < 1.3 * 2000, `${instructions(programs)} instructions`)
  let most = 0
  for (let index = 0; index < 6001; index++) most = Math.max(most, steps(programs[0] as Uint8Array, 0x5400 + index))
  t.ok(most <= 30, `at most ${most} instructions are run`)
})

/** How many instructions a filter runs for an ioctl: only jumps, loads and returns, as of this compiler. */
function steps(program: Uint8Array, request: number): number {
  const code = new DataView(program.buffer, program.byteOffset)
  const words: Record<number, number> = { 0: IOCTL, 4: X86_64, 24: request }
  let a = 0
  let count = 1
  for (let at = 0; code.getUint16(at, true) !== 0x06; at += 8, count++) {
    const k = code.getUint32(at + 4, true)
    const opcode = code.getUint16(at, true)
    if (opcode === 0x20) a = words[k] ?? 0
    else if (opcode === 0x05) at += 8 * k
    else at += 8 * code.getUint8(at + ((opcode === 0x15 ? a === k : opcode === 0x25 ? a > k : a >= k) ? 2 : 3))
  }
  return count
}

test('what is called often lies near the root', async (t) => {
  const rules = (value: number) => [[{ index: 1, op: '>' as const, value }]]
  const names = [...library.syscalls('x86_64').keys()].slice(20, 200)
  const others = names.map((name, index) => ({ name, rules: rules(index + 10), count: 1 }))
  const place = (count: number) => {
    const [program] = compileFilter(library, policy([{ name: 'ioctl', rules: rules(5), count }, ...others]), 'errno')
    return steps(program as Uint8Array, 6)
  }
  t.ok(place(1_000_000) < place(1) - 3, `${place(1_000_000)} instructions, else ${place(1)}`)
})

test('exactly 4,096 instructions are one program; one more, and it is divided', async (t) => {
  const domains = domainsOf(64)
  const rules = values(3000).map((rule) => ruleOf(rule, domains) ?? [])
  const call = { label: 'ioctl', number: IOCTL, weight: 1, last: false, rules, domains }
  const abi = { audit: X86_64, start: 0, end: 2 ** 30, known: 471, named: new Map([[0, 1]]), ruled: [call] }
  /** A program of as many instructions that refuses everything, behind the rules. */
  const sizes = (behind: number) => {
    const program = Buffer.alloc(8 * behind)
    for (let at = 0; at < behind; at++) {
      program.writeUInt16LE(0x06, 8 * at)
      program.writeUInt32LE(EPERM, 8 * at + 4)
    }
    return instructions(layOut('test', [abi], EPERM)(program))
  }
  const [rulesAlone = 0] = sizes(0)
  t.ok(rulesAlone > 3000)
  const room = 4096 - rulesAlone
  t.same(sizes(room), [4096])
  const divided = sizes(room + 1)
  t.equal(divided.length, 2)
  t.ok(divided.every((size) => size <= 4096))
})

test('calls are divided among programs, and a call among programs where it is too large itself', async (t) => {
  const many = ['ioctl', 'fcntl', 'prctl', 'futex', 'socket'].map((name, index) => ({
    name,
    rules: values(1500, 2 + index),
  }))
  const random = new Random(23)
  for (const document of [
    policy(['read', 'write', ...many]),
    ioctl(values(9000)),
    ioctl(values(5000, 1 << 20).map(([one]) => [one as Comparison, isEqual(7, 3)])),
  ]) {
    const programs = compileFilter(library, document, 'errno')
    t.ok(programs.length > 1 && programs.length < 6, `${instructions(programs)} instructions`)
    t.same(differing(document, 2000, random), [])
  }
})

test('each program but the last one lets pass what is not its own, seccomp(2) and prctl(2) for one', async (t) => {
  const many = ['prctl', 'fcntl', 'seccomp', 'futex', 'ioctl'].map((name, index) => ({
    name,
    rules: values(1300, index + 2),
  }))
  const programs = compileFilter(library, policy(['read', ...many]), 'errno')
  t.ok(programs.length > 1)
  for (const program of programs.slice(0, -1)) {
    const simulator = new Simulator([program])
    for (const name of ['read', 'seccomp', 'prctl', 'openat', 'execve'])
      t.equal(simulator.run({ arch: X86_64, number: library.resolveName('x86_64', name) ?? -1, args: [] }), ALLOW, name)
    t.equal(simulator.run({ arch: auditArch('x86'), number: 1, args: [] }), ALLOW, 'another architecture')
  }
})

test('what the kernel could not take is refused with the reason, and with the calls that have most rules', async (t) => {
  const rules = values(6000)
  const huge = ['ioctl', 'fcntl', 'prctl', 'futex', 'lseek', 'madvise'].map((name, index) => ({
    name,
    rules: rules.slice(index),
  }))
  t.throws(() => compileFilter(library, policy([...huge]), 'errno'), {
    code: 'FILTER_TOO_LARGE',
    message: /its programs count \d+ of the 32768 instructions .*most have: x86_64 \w+ \d+/,
  })
  // Overlapping masks can neither be searched nor divided.
  const random = new Random(24)
  const masks = Array.from({ length: 3000 }, (): Comparison[] => {
    const mask = random.bigint(64) | 1n
    return [{ index: 1, op: 'masked==', value: (random.bigint(64) & mask).toString(), mask: mask.toString() }]
  })
  t.throws(() => compileFilter(library, ioctl(masks), 'errno'), {
    code: 'FILTER_TOO_LARGE',
    message: /cannot be divided; .*x86_64 ioctl \d{4}\)/,
  })
})

test('the same policy is the same programs, in whatever order it is written', async (t) => {
  const random = new Random(25)
  const pool = Array.from({ length: 8 }, () => random.bigint(64))
  const mixed = Array.from({ length: 40 }, () => randomRule(random, 64, pool)).filter((rule) => rule.length > 2)
  const rules = [...values(4000), ...mixed]
  const once = compileFilter(library, ioctl(rules, ['close', 'openat']), 'errno')
  t.ok(once.length > 1)
  const shuffled = { ...ioctl(random.shuffled(rules), ['openat', 'close']) }
  t.same(compileFilter(library, shuffled, 'errno'), once)
  const architecture = shuffled.architectures.x86_64
  const unordered = {
    known: 471,
    syscalls: random
      .shuffled(architecture?.syscalls ?? [])
      .map((call) => ({ ...call, ...(call.rules ? { rules: random.shuffled(call.rules) } : {}) })),
  }
  t.same(compileFilter(library, { ...shuffled, architectures: { x86_64: unordered } }, 'errno'), once)
})

test('jumps over more than 255 instructions: returns are copied, other ways are long jumps', async (t) => {
  const graph = new Graph()
  const [yes, no, far] = [graph.return(1), graph.return(2), graph.return(3)]
  const tail = graph.test(20, 0xffff_ffff, '==', 9, far, no)
  const root = Array.from({ length: 1000 }, (_, k) => k).reduce(
    (next, k) => graph.test(16, 0xffff_ffff, '==', k, k % 2 ? yes : tail, next),
    tail,
  )
  const simulator = new Simulator([assemble(root)])
  const answer = (low: number, high: number) =>
    simulator.run({ arch: 0, number: 0, args: [BigInt(low) + (BigInt(high) << 32n)] })
  for (let k = 0; k < 1002; k++) {
    t.equal(answer(k, 9), k < 1000 && k % 2 ? 1 : 3)
    t.equal(answer(k, 8), k < 1000 && k % 2 ? 1 : 2)
  }
})
