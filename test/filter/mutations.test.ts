/** Filters with one instruction changed: each change of meaning must be found, and nothing else. */
import { test } from 'tap'
import { compileFilter } from '../../src/filter/compile.ts'
import { Undecidable } from '../../src/filter/diagram.ts'
import { type ResolvedArchitecture, resolvePolicy } from '../../src/filter/evaluate.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import { decodeProgram, programProblem } from '../../src/filter/program.ts'
import { findDifference } from '../../src/filter/prove.ts'
import { effectOf } from '../../src/filter/returns.ts'
import { Simulator, type SyscallData } from '../../src/filter/simulate.ts'
import type { AllowedSyscall, Comparison, PolicyDocument } from '../../src/generated/policy.ts'
import { randomRange } from '../lib/comparisons.ts'
import { policy } from '../lib/policies.ts'
import {
  decodeInstructions,
  encodeProgram,
  I386,
  type Instruction,
  mutate,
  valuesAround,
  X86_64,
} from '../lib/programs.ts'
import { Random } from '../lib/random.ts'

const everything = process.env.TEST_ALL === '1'
const library = seccompLibrary()
const AARCH64 = 0xc00000b7

/** Some calls with argument rules, some without, of one or two architectures. */
function randomPolicy(random: Random): PolicyDocument {
  const list = (architecture: 'x86_64' | 'x86' | 'aarch64', bits: number): AllowedSyscall[] => {
    const names = random.shuffled([...library.syscalls(architecture).keys()]).slice(0, 2 + random.below(12))
    return names.map((name) => (random.chance(0.6) ? { name } : { name, rules: randomRules(random, bits) }))
  }
  const architectures: PolicyDocument['architectures'] = { x86_64: { known: 471, syscalls: list('x86_64', 64) } }
  if (random.chance(0.3)) architectures.x86 = { known: 471, syscalls: list('x86', 32) }
  if (random.chance(0.2)) architectures.aarch64 = { known: 471, syscalls: list('aarch64', 64) }
  return policy([], { architectures })
}

function randomRules(random: Random, bits: number): Comparison[][] {
  const operators: Comparison['op'][] = ['==', '==', '==', 'masked==', '!=', '<', '<=', '>', '>=', 'range']
  return Array.from({ length: 1 + random.below(4) }, () => {
    const indices = random.shuffled([0, 1, 2, 3, 4, 5]).slice(0, 1 + random.below(3))
    return indices.map((index): Comparison => {
      const op = random.pick(operators)
      if (op === 'range') return randomRange(random, index, bits, () => random.bigint(bits))
      const mask = random.bigint(bits)
      const value = op === 'masked==' ? random.bigint(bits) & mask : random.bigint(bits)
      return { index, op, value: String(value), ...(op === 'masked==' ? { mask: String(mask) } : {}) }
    })
  })
}

interface Subject {
  readonly architectures: readonly ResolvedArchitecture[]
  readonly programs: readonly Uint8Array[]
}

/** A policy and its filters. */
function subject(random: Random): Subject {
  const document = randomPolicy(random)
  const programs = compileFilter(library, document, 'errno')
  const architectures = resolvePolicy(document, (architecture, name) => library.resolveName(architecture, name), [])
  // Twice the same is the same, but a change of one of the two may be hidden by the other.
  return { architectures, programs: random.chance(0.3) ? [...programs, ...programs] : programs }
}

/** Whether two sets of programs do the same for many calls on and around everything that they compare with. */
function sameInSamples(random: Random, a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  const values = valuesAround([...a, ...b].map(decodeInstructions))
  const [one, other] = [new Simulator(a), new Simulator(b)]
  const same = (call: SyscallData) => effectOf(one.run(call)) === effectOf(other.run(call))
  const architectures = [X86_64, I386, AARCH64, 1]
  for (const arch of architectures) for (const number of values) if (!same({ arch, number, args: [] })) return false
  const word = () => BigInt(random.chance(0.7) ? random.pick(values) : 0)
  for (let round = 0; round < 3000; round++) {
    const args = Array.from({ length: 6 }, () => (word() << 32n) | word())
    if (!same({ arch: random.pick(architectures), number: random.pick(values), args })) return false
  }
  return true
}

test('a changed filter is found, with a call that shows it, or means the same', async (t) => {
  const random = new Random(21)
  const wanted = everything ? 10_000 : 1600
  const count = { found: 0, refused: 0, undecided: 0, same: 0 }
  for (let total = 0; total < wanted; ) {
    const { architectures, programs } = subject(random)
    if (findDifference(programs, architectures, 'errno') !== undefined)
      t.fail('the filter as it was made is not found wrong')
    for (let round = 0; round < 40; round++, total++) {
      const which = random.below(programs.length)
      const { mutant, what } = mutate(random, decodeInstructions(programs[which] as Uint8Array))
      const mutants = programs.with(which, encodeProgram(mutant as Instruction[]))
      const refused = programProblem(decodeProgram(mutants[which] as Uint8Array)) !== undefined
      try {
        const witness = findDifference(mutants, architectures, 'errno')
        if (refused) t.fail(`what the kernel would not take is proved: ${what}`)
        if (witness === undefined) {
          count.same++
          if (!sameInSamples(random, programs, mutants)) t.fail(`not found: ${what}`)
        } else {
          count.found++
          const [before, after] = [programs, mutants].map((each) => effectOf(new Simulator(each).run(witness.call)))
          if (before === after || after !== effectOf(witness.found) || before !== witness.expected)
            t.fail(`the call does not show it: ${what}`, { witness, before, after })
        }
      } catch (error) {
        if (refused) count.refused++
        else if (error instanceof Undecidable) count.undecided++
        else t.fail(`${error}: ${what}`)
      }
    }
  }
  t.comment(JSON.stringify(count))
  t.ok(count.found >= 1000, `${count.found} found, each with a call`)
  t.ok(count.undecided < wanted / 10, `${count.undecided} undecided, so refused`)
})

test("libseccomp's mistranslation of rules that mix != and == is found, with a call", async (t) => {
  const rules = [
    [
      { index: 0, op: '!=', value: 4213014n },
      { index: 2, op: '==', value: 803279085n },
    ],
    [
      { index: 0, op: '!=', value: 41819n },
      { index: 1, op: '==', value: 180059816n },
    ],
  ] as const
  const refuse = { kind: 'errno', errno: 1 } as const
  const filter = library.filter({ defaultAction: refuse, badArchAction: refuse, architectures: ['x86_64'] })
  t.teardown(() => filter.free())
  for (const rule of rules) filter.addExact({ kind: 'allow' }, 16, [...rule])
  const programs = [filter.toBPF()]
  // No number is newer than this policy, as libseccomp has no answer for such.
  const ioctl = {
    name: 'ioctl',
    rules: rules.map((rule) => rule.map(({ value, ...rest }) => ({ ...rest, value: Number(value) }))),
  }
  const document = policy([], { architectures: { x86_64: { known: 0x3fff_ffff, syscalls: [ioctl] } } })
  const architectures = resolvePolicy(document, (architecture, name) => library.resolveName(architecture, name), [])
  const witness = findDifference(programs, architectures, 'errno')
  t.ok(witness)
  if (witness === undefined) return
  const { call, found, expected } = witness
  const [a0, a1, a2] = call.args as [bigint, bigint, bigint]
  const allowed = (a0 !== 4213014n && a2 === 803279085n) || (a0 !== 41819n && a1 === 180059816n)
  t.equal(call.number, 16)
  t.equal(expected === 0x7fff_0000, allowed, 'what the policy says of this call')
  t.equal(found, new Simulator(programs).run(call), 'what the filter does with it')
  t.not(found, expected)
})
