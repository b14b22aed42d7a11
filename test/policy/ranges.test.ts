/** Ranges of arguments: what is made of learned values, and what formats without ranges make of them. */
import { test } from 'tap'
import { compareRegions } from '../../src/filter/compare.ts'
import { Diagram } from '../../src/filter/diagram.ts'
import { evaluate, resolvePolicy } from '../../src/filter/evaluate.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import { meaningOf } from '../../src/filter/meaning.ts'
import { Simulator } from '../../src/filter/simulate.ts'
import type { AllowedSyscall, Comparison, PolicyDocument } from '../../src/generated/policy.ts'
import type { ArchitectureName } from '../../src/policy/document.ts'
import { oneList } from '../../src/policy/export/one-list.ts'
import { pseudoFilterCode } from '../../src/policy/export/pfc.ts'
import { exportOci } from '../../src/policy/export-oci.ts'
import { policyOfImport } from '../../src/policy/import/policy.ts'
import { lintPolicy } from '../../src/policy/lint.ts'
import { alignedBlocks, plainRules } from '../../src/policy/ranges.ts'
import { ofLowHalf, satisfies } from '../../src/policy/rules.ts'
import { decodeUint64, encodeUint64 } from '../../src/policy/uint64.ts'
import { WIDENINGS, type Widening, type WideningStep, widenPolicy } from '../../src/policy/widen.ts'
import { randomRange } from '../lib/comparisons.ts'
import { collect, NAMES, PROVENANCE } from '../lib/imports.ts'
import { policy } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'

const int = (value: number) => value >>> 0

const learnedCall = (name: string, indexes: number[], ...values: number[][]): AllowedSyscall => ({
  name,
  learned: { arguments: indexes, values: values.map((combination) => combination.map(int)) },
})

type Judge = (...args: readonly number[]) => boolean

/** Whether a policy of this one call allows it, whatever stands above the low 32 bits. */
function judge(call: AllowedSyscall, widening: Widening, architecture: ArchitectureName = 'x86_64'): Judge {
  const number = NAMES.numberOf(architecture, call.name as string) as number
  const document = policy([], { widening, architectures: { [architecture]: { known: number, syscalls: [call] } } })
  const [resolved] = resolvePolicy(document, NAMES.numberOf, [])
  if (resolved === undefined) throw new Error('no architecture')
  const uppers = ['x86', 'arm'].includes(architecture) ? [0n] : [0n, 0xffff_ffff_0000_0000n, 0x1_0000_0000n]
  return (...args) => {
    const answers = uppers.map((upper) => {
      const registers = args.map((value) => upper | BigInt(int(value)))
      return evaluate(resolved, number, registers) === 'allow'
    })
    if (new Set(answers).size > 1) throw new Error(`${call.name}: the upper half matters`)
    return answers[0] === true
  }
}

const through = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at)

test('nice values: from the least to the greatest, and in loose all that yield more; negative ones are ints', async (t) => {
  const seen = learnedCall('setpriority', [0, 2], [0, -3], [0, 2])
  const nice = (widening: Widening) => through(-25, 25).filter((value) => judge(seen, widening)(0, 0, value))
  t.same(nice('strict'), [-3, 2])
  t.same(nice('balanced'), through(-3, 2))
  t.same(nice('loose'), through(-3, 25))
  t.ok(judge(seen, 'loose')(0, 0, 0x7fff_ffff))
  t.notOk(judge(seen, 'loose')(0, 0, -0x8000_0000))
  t.notOk(judge(seen, 'loose')(1, 0, 0), 'which is exact')
  for (const architecture of ['x86', 'x32', 'arm', 'aarch64'] as const) {
    t.ok(judge(seen, 'balanced', architecture)(0, 0, -2), architecture)
    t.notOk(judge(seen, 'balanced', architecture)(0, 0, -4), architecture)
    t.notOk(judge(seen, 'balanced', architecture)(0, 0, 3), architecture)
  }
})

test('a range goes with the values that it was seen with, except in loose', async (t) => {
  const seen = learnedCall('setpriority', [0, 2], [0, 5], [0, 7], [2, 10])
  const nice = (widening: Widening, which: number) =>
    through(-20, 19).filter((value) => judge(seen, widening)(which, 0, value))
  t.same(nice('balanced', 0), [5, 6, 7])
  t.same(nice('balanced', 2), [10])
  t.same(nice('loose', 2), through(5, 19))
})

test('signals: real-time ones are a range, the others are not', async (t) => {
  const signals = (widening: Widening, ...seen: number[]) => {
    const allowed = judge(learnedCall('kill', [1], ...seen.map((one) => [one])), widening)
    return through(0, 70).filter((value) => allowed(0, value))
  }
  t.same(signals('balanced', 0, 9, 15), [0, 9, 15])
  t.same(signals('balanced', 15, 34, 38), [15, ...through(34, 38)])
  t.same(signals('loose', 15, 34), [15, ...through(32, 64)])
  t.same(signals('strict', 34, 38), [34, 38])
  t.same(signals('balanced', 34, 70), [34, 70], 'what is no signal stands for itself')
})

test('levels of I/O priority: within their class', async (t) => {
  const levels = (widening: Widening, ...seen: number[]) => {
    const allowed = judge(learnedCall('ioprio_set', [0, 2], ...seen.map((one) => [1, one])), widening)
    return through(0, 0x8000).filter((value) => allowed(1, 0, value))
  }
  t.same(levels('balanced', 0x4001, 0x4003), [0x4001, 0x4002, 0x4003])
  t.same(levels('balanced', 0x2001, 0x4003), [0x2001, 0x4003])
  t.same(levels('loose', 0x4005), [0x4005, 0x4006, 0x4007])
})

test('each step is recorded with its reason', async (t) => {
  const reasons = (widening: Widening) => {
    const steps: WideningStep[] = []
    widenPolicy(policy([learnedCall('kill', [1], [34], [38])], { widening }), steps)
    return steps.map(({ argument, reason }) => `${argument?.name}: ${reason}`)
  }
  t.same(reasons('strict'), [])
  t.same(reasons('balanced'), ['sig: 2 values of a range were seen: those from the least to the greatest'])
  t.same(reasons('loose'), ['sig: a value of a range was seen: all of it'])
})

test('property: every learned value passes, and nothing beyond the hull of what was seen', async (t) => {
  const random = new Random(20261122)
  for (let round = 0; round < 400; round++) {
    const architecture = random.pick(['x86_64', 'x86', 'x32', 'aarch64', 'arm'] as const)
    const near = () => random.pick([0, -1, 1, 19, -20, -0x8000_0000, 0x7fff_ffff, random.below(64) - 32])
    const seen = Array.from({ length: 1 + random.below(5) }, () => [random.below(3), near()] as const)
    const call = learnedCall('setpriority', [0, 2], ...seen.map((one) => [...one]))
    const judges = WIDENINGS.map((widening) => [widening, judge(call, widening, architecture)] as const)
    const [, balanced, loosely] = judges.map(([, allowed]) => allowed) as [Judge, Judge, Judge]
    for (const [widening, allowed] of judges) {
      for (const [which, value] of seen) {
        if (!allowed(which, 0, value)) return t.fail(`${architecture} ${widening} refuses ${which} ${value}`, { seen })
      }
    }
    for (let probe = 0; probe < 20; probe++) {
      const [which, value] = [random.below(4), near() | 0]
      const own = seen.filter(([other]) => other === which).map(([, one]) => one)
      const inside = own.length > 0 && value >= Math.min(...own) && value <= Math.max(...own)
      if (balanced(which, 0, value) !== inside)
        return t.fail(`${architecture}: ${which} ${value} should be ${inside}`, { seen })
      const all = seen.map(([, one]) => one)
      const loose = own.length > 0 && value >= Math.min(...all)
      if (loosely(which, 0, value) !== loose)
        return t.fail(`${architecture}: loose, ${which} ${value} should be ${loose}`, { seen })
    }
  }
  t.pass('400 policies')
})

test('property: exactly one of the blocks of a range holds where the range does', async (t) => {
  const random = new Random(7)
  for (let round = 0; round < 500; round++) {
    const bits = random.pick([3, 8, 32, 64] as const)
    const mask = (1n << BigInt(bits)) - 1n
    const [a, b] = [random.bigint(bits), random.bigint(bits)]
    const [from, to] = a < b ? [a, b] : [b, a]
    const blocks = alignedBlocks(0, { from, to, mask, whole: bits === 64 })
    if (blocks.length > 2 * bits) t.fail(`${blocks.length} blocks`)
    const probes = [from, to, from - 1n, to + 1n, 0n, mask, ...Array.from({ length: 8 }, () => random.bigint(64))]
    for (const value of probes.map((probe) => BigInt.asUintN(64, probe))) {
      const inside = (value & mask) >= from && (value & mask) <= to
      const holding = blocks.filter((block) => satisfies(block, value)).length
      if (holding !== (inside ? 1 : 0)) t.fail(`${holding} of ${from} to ${to} (${bits} bits) hold for ${value}`)
    }
  }
  t.pass('500 ranges')
})

test('property: a comparison of 32 bits, said of the low half of 64', async (t) => {
  const random = new Random(12)
  const operators: Comparison['op'][] = ['==', '!=', '<', '<=', '>', '>=', 'masked==', 'range']
  for (let round = 0; round < 500; round++) {
    const op = random.pick(operators)
    const value = random.bigint(random.chance(0.9) ? 32 : 40)
    const mask = random.bigint(32)
    const comparison: Comparison =
      op === 'range'
        ? randomRange(random, 0, 32, () => random.bigint(32))
        : op === 'masked=='
          ? { index: 0, op, value: String(value & mask), mask: String(mask) }
          : { index: 0, op, value: String(value) }
    const low = ofLowHalf(comparison)
    for (let probe = 0; probe < 20; probe++) {
      const near = [value, value + 1n, value - 1n, BigInt(comparison.to ?? 0), random.bigint(32), 0xffff_ffffn, 0n]
      const half = BigInt.asUintN(32, random.pick(near))
      const holding = low.filter((one) => satisfies(one, (random.bigint(32) << 32n) | half)).length
      if (holding !== (satisfies(comparison, half) ? 1 : 0))
        return t.fail(`${holding} hold for ${half}`, { comparison, low })
    }
  }
  t.pass('500 comparisons')
})

/** What B allows and A does not, and the other way round. */
function changes(a: PolicyDocument, b: PolicyDocument) {
  const diagram = new Diagram()
  const meaning = (one: PolicyDocument) => meaningOf(diagram, resolvePolicy(one, NAMES.numberOf, []), 'errno')
  return compareRegions(diagram, meaning(a), meaning(b))
}

function exportedAgain(document: PolicyDocument): PolicyDocument {
  const profile = exportOci(oneList(widenPolicy(document), NAMES), { action: 'errno', runtimeCalls: [] })
  const marked = JSON.stringify(profile, (_, value) => (typeof value === 'bigint' ? `uint64:${value}` : value))
  return policyOfImport('test', collect('oci', marked.replace(/"uint64:([0-9]+)"/g, '$1')), PROVENANCE)
}

test('a profile of random ranges, imported again, means the same', async (t) => {
  const random = new Random(8)
  for (let round = 0; round < 150; round++) {
    const small = random.chance(0.3)
    const bits = small ? 32 : 64
    const rule = (): Comparison[] =>
      random
        .shuffled([0, 1, 2, 3])
        .slice(0, random.chance(0.9) ? 1 : 2)
        .map((index, at) =>
          at === 0
            ? randomRange(random, index, bits, () => random.bigint(bits))
            : { index, op: '==', value: random.below(9) },
        )
    const syscalls: AllowedSyscall[] = ['socket', 'ioctl'].map((name) => ({
      name,
      rules: Array.from({ length: 1 + random.below(3) }, rule),
    }))
    const architectures = small
      ? { x86: { known: NAMES.highest('x86'), syscalls } }
      : { x86_64: { known: NAMES.highest('x86_64'), syscalls } }
    const before = policy([], { architectures })
    const found = changes(before, exportedAgain(before))
    if (found.length > 0) return t.fail('differs', { before, found })
  }
  t.pass('150 policies')
})

test('what was learned on two architectures of different width is one profile', async (t) => {
  const syscalls = [learnedCall('kill', [1], [15], [34], [38]), learnedCall('setpriority', [0, 2], [0, -5], [0, 5])]
  const list = (name: ArchitectureName) => ({ known: NAMES.highest(name), syscalls })
  const both = policy([], { architectures: { x86_64: list('x86_64'), x86: list('x86'), x32: list('x32') } })
  const again = exportedAgain(both)
  t.same(Object.keys(again.architectures), ['x32', 'x86', 'x86_64'])
  t.same(changes(both, again), [])
})

test('pseudo filter code has the blocks of a range; too many rules are refused', async (t) => {
  const range = (index: number): Comparison => ({ index, op: 'range', value: 1, to: '0xfffffffffffffffe' })
  const one = policy([{ name: 'ioctl', rules: [[{ index: 1, op: 'range', value: 2, to: 6, mask: 255 }]] }])
  const text = pseudoFilterCode(seccompLibrary(), one, 'errno')
  t.match(text, /0x000000fe/)
  t.equal(text.match(/0x000000fe/g)?.length, 2, '2 to 3 and 4 to 5')
  t.match(text, /0x000000ff/)
  t.throws(() => plainRules([[range(0), range(1)]], 'ioctl', 64), {
    code: 'EXPORT_IMPOSSIBLE',
    message: /the rules of ioctl compare ranges or orders of several arguments/,
  })
})

test('what libseccomp would make wider, or never come to an end with, is exported as blocks', async (t) => {
  const compare = (index: number, op: Comparison['op'], value: bigint): Comparison => ({
    index: index as 0,
    op,
    value: encodeUint64(value),
  })
  const big = 2n ** 32n
  const wide = [
    [compare(0, '>', 0n), compare(2, '==', big + 1n)],
    [compare(0, '>', 0n), compare(2, '<=', big)],
    [compare(0, '<', 2n), compare(1, '!=', big + 1n), compare(2, '<=', big + 1n)],
  ]
  const endless = [
    [compare(0, '>', 2n), compare(1, '<=', big), compare(2, '==', big)],
    [compare(0, '>', 2n), compare(1, '==', big + 1n), compare(2, '<=', big + 1n)],
  ]
  for (const [name, rules] of Object.entries({ wide, endless })) {
    const before = policy([{ name: 'socket', rules }])
    t.same(changes(before, exportedAgain(before)), [], name)
    t.match(pseudoFilterCode(seccompLibrary(), before, 'errno'), /filter for syscall "socket"/, name)
    const plain = plainRules(rules, 'socket', 64)
    t.ok(
      plain.flat().every(({ op }) => op === '==' || op === 'masked=='),
      `${name}: ${plain.length} rules`,
    )
  }
  const random = new Random(77)
  const value = () => BigInt(random.below(9)) * random.pick([1n, big, big / 2n])
  let compared = 0
  for (let round = 0; round < 100; round++) {
    const comparison = () => compare(random.below(3), random.pick(['==', '!=', '<', '<=', '>', '>=']), value())
    const rule = () => Array.from({ length: 1 + random.below(3) }, comparison)
    const rules = Array.from({ length: 1 + random.below(2) }, rule)
    let plain: ReturnType<typeof plainRules>
    try {
      plain = plainRules(rules, 'socket', 64)
    } catch {
      continue // too many: refused
    }
    compared++
    const holding = (list: readonly (readonly Comparison[])[], args: bigint[]) =>
      list.some((one) => one.every((each) => satisfies(each, args[each.index] as bigint)))
    for (let call = 0; call < 50; call++) {
      const args = Array.from({ length: 3 }, () => value() + BigInt(random.below(3)))
      if (holding(rules, args) !== holding(plain, args)) return t.fail('differs', { rules, args: args.map(String) })
    }
  }
  t.ok(compared > 50, `${compared} of 100`)
  t.throws(() => plainRules(wide, 'socket', 'both'), { code: 'EXPORT_IMPOSSIBLE', message: /--architecture/ })
  t.same(plainRules([[compare(0, '!=', 40n)]], 'socket', 'both'), [[compare(0, '!=', 40n)]], 'one comparison alone')
  t.same(plainRules([[{ ...compare(0, 'masked==', 16n), mask: 15 }], [compare(1, '<', 1n)]], 'socket', 64), [
    [{ index: 1, op: '==', value: 0 }],
  ])
})

test('what is exported libseccomp translates rightly', async (t) => {
  const random = new Random(5)
  const library = seccompLibrary()
  const big = 2n ** 32n
  const value = () => BigInt(random.below(4)) * random.pick([1n, big]) + BigInt(random.below(3))
  const comparison = (index: number): Comparison => ({
    index: index as 0,
    op: random.pick(['==', '!=', '<', '<=', '>', '>=']),
    value: encodeUint64(value()),
  })
  const refuse = { kind: 'errno', errno: 1 } as const
  let compared = 0
  for (let round = 0; round < 150; round++) {
    const rule = () =>
      random
        .shuffled([0, 1, 2])
        .slice(0, random.pick([1, 1, 2]))
        .map(comparison)
    const rules = Array.from({ length: 1 + random.below(3) }, rule)
    using filter = library.filter({ defaultAction: refuse, badArchAction: refuse, architectures: ['x86_64'] })
    let program: Uint8Array
    try {
      const exported = plainRules(rules, 'ioctl', 64)
      if (exported.length > 100) continue // libseccomp takes seconds
      for (const plain of exported) {
        const comparisons = plain.map(({ index, op, value, mask }) => ({
          ...{ index, op: op as '==', value: decodeUint64(value) },
          ...(mask === undefined ? {} : { mask: decodeUint64(mask) }),
        }))
        filter.addExact({ kind: 'allow' }, 'ioctl', comparisons)
      }
      program = filter.toBPF()
    } catch {
      continue // too many rules, or the same one twice
    }
    compared++
    const simulator = new Simulator([program])
    for (let call = 0; call < 40; call++) {
      const args = [value(), value(), value(), 0n, 0n, 0n]
      const allows = rules.some((one) => one.every((each) => satisfies(each, args[each.index] as bigint)))
      const passes = simulator.run({ arch: 0xc000003e, number: 16, args }) === 0x7fff0000
      if (passes !== allows)
        return t.fail(`${passes ? 'wider' : 'narrower'} than the rules`, { rules, args: args.map(String) })
    }
  }
  t.ok(compared > 40, `${compared} of 150`)
})

test('lint looks into ranges', async (t) => {
  const dangers = (rule: Comparison) =>
    lintPolicy(policy([{ name: 'socket', rules: [[rule]] }])).filter(({ kind }) => kind === 'dangerous')
  t.same(dangers({ index: 0, op: 'range', value: 1, to: 2, mask: 0xffff_ffff }), [])
  t.match(dangers({ index: 0, op: 'range', value: 1, to: 16, mask: 0xffff_ffff }), [{ reason: /AF_NETLINK/ }])
})
