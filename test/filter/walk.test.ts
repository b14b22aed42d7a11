/** The two procedures that decide about calls with argument rules, one against the other: they share little, and both are exact. */
import { type Test, test } from 'tap'
import { compileFilter } from '../../src/filter/compile.ts'
import { Undecidable } from '../../src/filter/diagram.ts'
import { holds } from '../../src/filter/evaluate.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import { decodePrograms } from '../../src/filter/regions.ts'
import { effectOf } from '../../src/filter/returns.ts'
import { type Mismatch, mismatchByDiagram, mismatchByWalk, type RuledCall } from '../../src/filter/ruled-calls.ts'
import { Simulator } from '../../src/filter/simulate.ts'
import { Walk } from '../../src/filter/walk.ts'
import type { Comparison } from '../../src/generated/policy.ts'
import { randomRange } from '../lib/comparisons.ts'
import { policy } from '../lib/policies.ts'
import { decodeInstructions, encodeProgram, mutate, randomProgram, someConstants, X86_64 } from '../lib/programs.ts'
import { Random } from '../lib/random.ts'

const everything = process.env.TEST_ALL === '1'
const IOCTL = 16
const CALL = { archFrom: X86_64, archTo: X86_64, from: IOCTL, to: IOCTL }
const ALLOW = 0x7fff_0000
const REFUSE = 0x0005_0001

type Decision = { mismatch: Mismatch | undefined } | 'undecided'

function decided(decide: () => Mismatch | undefined): Decision {
  try {
    return { mismatch: decide() }
  } catch (error) {
    if (error instanceof Undecidable) return 'undecided'
    throw error
  }
}

/** Both procedures, of which each call that they show is tried out. Whether they agree that there is one, or why they cannot. */
function compare(
  t: Pick<Test, 'fail'>,
  bytes: readonly Uint8Array[],
  call: RuledCall,
  what: unknown,
): 'same' | 'different' | 'undecided' {
  const programs = decodePrograms(bytes)
  const walk = decided(() => mismatchByWalk(new Walk(programs), CALL, call, 'errno'))
  const diagram = decided(() => mismatchByDiagram(programs, CALL, call, 'errno'))
  // One may find a difference before it comes to what neither follows.
  if (walk === 'undecided' || diagram === 'undecided') return 'undecided'
  for (const { mismatch } of [walk, diagram]) {
    if (mismatch === undefined) continue
    const { args } = mismatch.call
    const allowed = call.rules.some((rule) => rule.every((comparison) => holds(comparison, args)))
    const expected = allowed ? ALLOW : REFUSE
    const found = effectOf(new Simulator(bytes).run(mismatch.call))
    if (mismatch.expected !== expected || found === expected)
      t.fail('the call shows nothing', { mismatch, expected, found, what })
  }
  if ((walk.mismatch === undefined) !== (diagram.mismatch === undefined))
    t.fail('one procedure finds a difference, the other none', { walk, diagram, what })
  return walk.mismatch === undefined ? 'same' : 'different'
}

const OPERATORS: Comparison['op'][] = ['==', '==', '==', '!=', '<', '<=', '>', '>=', 'masked==', 'range']

/** Few different values and arguments, so that rules have much in common. */
function relatedRules(random: Random, constants: readonly number[]): Comparison[][] {
  const word = () => BigInt(random.pick(constants))
  const value = () => (random.chance(0.3) ? (word() << 32n) | word() : word())
  return Array.from({ length: random.below(14) }, () => {
    const indices = random.shuffled([0, 1, 2]).slice(0, random.chance(0.05) ? 0 : 1 + random.below(3))
    return indices.map((index): Comparison => {
      const op = random.pick(OPERATORS)
      if (op === 'range') return randomRange(random, index, 64, value)
      const mask = value()
      if (op !== 'masked==') return { index, op, value: String(value()) }
      return { index, op, value: String(value() & mask), mask: String(mask) }
    })
  })
}

function someValues(random: Random): number[] {
  return [0, 1, 2, 3, 5, 0xffff_ffff, Number(random.bigint(32)), Number(random.bigint(32))]
}

test('filters of other rules, and changed ones: both procedures find the same', async (t) => {
  const random = new Random(61)
  const rounds = everything ? 800 : 300
  const count = { same: 0, different: 0, undecided: 0 }
  for (let round = 0; round < rounds; round++) {
    const constants = someValues(random)
    const rules = relatedRules(random, constants)
    const document = policy(['write', { name: 'ioctl', rules }])
    const right = compileFilter(seccompLibrary(), document, 'errno')
    const call: RuledCall = { rules, bits: 64 }
    if (compare(t, right, call, { rules }) !== 'same') t.fail('the filter as it was made is not found right', { rules })
    // Rules of which one is missing, or one too many, and one instruction changed.
    const others = [rules.slice(1), [...rules, ...relatedRules(random, constants).slice(0, 1)]]
    for (const other of others) count[compare(t, right, { rules: other, bits: 64 }, { rules, other })]++
    for (let changed = 0; changed < 6; changed++) {
      const which = random.below(right.length)
      const { mutant, what } = mutate(random, decodeInstructions(right[which] as Uint8Array))
      const mutants = right.with(which, encodeProgram(mutant))
      try {
        decodePrograms(mutants)
      } catch {
        continue // the kernel would not take it
      }
      count[compare(t, mutants, call, { rules, what })]++
    }
  }
  t.comment(JSON.stringify(count))
  t.ok(count.same > rounds / 2, `${count.same} mean the same`)
  t.ok(count.different > rounds, `${count.different} do not`)
  t.ok(count.undecided < rounds / 10, `${count.undecided} undecided`)
})

test('random programs, one or several, against random rules: both procedures find the same', async (t) => {
  const random = new Random(62)
  const rounds = everything ? 4000 : 1500
  const count = { same: 0, different: 0, undecided: 0 }
  for (let round = 0; round < rounds; round++) {
    const constants = someConstants(random)
    const programs = Array.from({ length: 1 + random.below(3) }, () =>
      // Returns of two kinds alone, so that some of them are what some rules say.
      randomProgram(random, constants, { length: 3 + random.below(40) }).map(([code, jt, jf, k]) =>
        encodedReturn(random, [code, jt, jf, k]),
      ),
    )
    const rules = relatedRules(random, constants)
    count[compare(t, programs.map(encodeProgram), { rules, bits: 64 }, { programs, rules })]++
    for (const expected of [[], [[]]])
      count[compare(t, programs.map(encodeProgram), { rules: expected, bits: 64 }, { programs, rules: expected })]++
  }
  t.comment(JSON.stringify(count))
  t.ok(count.same > rounds / 20, `${count.same} mean the same`)
  t.ok(count.different > rounds, `${count.different} do not`)
  t.ok(count.undecided < rounds / 2, `${count.undecided} undecided`)
})

function encodedReturn(
  random: Random,
  [code, jt, jf, k]: [number, number, number, number],
): [number, number, number, number] {
  return code === 0x06 ? [code, jt, jf, random.pick([ALLOW, REFUSE])] : [code, jt, jf, k]
}

/** Rules that have nothing in common: now these, now those arguments are compared with random values. */
function unrelatedRules(random: Random, count: number, operators: readonly Comparison['op'][]): Comparison[][] {
  return Array.from({ length: count }, () =>
    random
      .shuffled([0, 1, 2, 3, 4, 5])
      .slice(0, 1 + random.below(3))
      .map((index): Comparison => {
        const [op, value, mask] = [random.pick(operators), random.bigint(64), random.bigint(64)]
        if (op !== 'masked==') return { index, op, value: String(value) }
        return { index, op, value: String(value & mask), mask: String(mask) }
      }),
  )
}

const LARGE: Record<string, () => { name: string; rules: Comparison[][] }[]> = {
  '300 of one call': () => [{ name: 'ioctl', rules: unrelatedRules(new Random(63), 300, ['==']) }],
  '40 of one call, with masks': () => [
    { name: 'ioctl', rules: unrelatedRules(new Random(64), 40, ['==', 'masked==']) },
  ],
  '40 of each of 40 calls': () => {
    const random = new Random(65)
    const names = [...seccompLibrary().syscalls('x86_64').keys()].slice(0, 40)
    return names.map((name) => ({ name, rules: unrelatedRules(random, 40, ['==']) }))
  },
}

for (const [what, calls] of Object.entries(LARGE)) {
  test(`unrelated rules are proved: ${what}`, async (t) => {
    const document = policy(['write', ...calls()])
    const programs = compileFilter(seccompLibrary(), document, 'errno')
    t.ok(programs.length > 0)
    // And one rule less is seen, from either side.
    const [{ name, rules }] = calls() as [{ name: string; rules: Comparison[][] }]
    const number = seccompLibrary().resolveName('x86_64', name) as number
    const range = { ...CALL, from: number, to: number }
    for (const [filter, left] of [
      [programs, rules.slice(1)],
      [compileFilter(seccompLibrary(), policy([{ name, rules: rules.slice(1) }]), 'errno'), rules],
    ] as const) {
      const mismatch = mismatchByWalk(new Walk(decodePrograms(filter)), range, { rules: left, bits: 64 }, 'errno')
      t.ok(mismatch !== undefined && rules[0]?.every((comparison) => holds(comparison, mismatch.call.args)))
    }
  })
}
