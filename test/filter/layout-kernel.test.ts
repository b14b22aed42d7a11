/** Laid out programs in the kernel: it takes them, one after the other, and judges calls as the simulator does. */
import { test } from 'tap'
import { compileFilter } from '../../src/filter/compile.ts'
import { seccompLibrary } from '../../src/filter/library.ts'
import { Simulator } from '../../src/filter/simulate.ts'
import type { AllowedSyscall, Comparison } from '../../src/generated/policy.ts'
import { randomRange } from '../lib/comparisons.ts'
import { policy } from '../lib/policies.ts'
import { Random } from '../lib/random.ts'
import { stack } from './stack.ts'

const library = seccompLibrary()
const X86_64 = 0xc000_003e
const ALLOW = 0x7fff_0000
const EPERM = 1

/** Calls that change nothing, as their first argument is no open file. */
const CALLS = ['ioctl', 'fcntl', 'lseek', 'ftruncate', 'flock', 'dup3']
const NEEDED = ['write', 'exit_group']

function randomRule(random: Random): Comparison[] {
  const indices = random.shuffled([1, 2, 3, 4, 5]).slice(0, 1 + random.below(3))
  return indices.map((index): Comparison => {
    const op = random.pick(['==', '!=', '<', '<=', '>', '>=', 'masked==', 'range'] as const)
    const mask = BigInt(random.below(64)) << BigInt(random.below(50))
    const value = random.chance(0.5) ? BigInt(random.below(64)) : random.bigint(64)
    if (op === 'range')
      return randomRange(random, index, 64, () => (random.chance(0.5) ? BigInt(random.below(64)) : random.bigint(64)))
    if (op !== 'masked==') return { index, op, value: value.toString() }
    return { index, op, value: (value & mask).toString(), mask: mask.toString() }
  })
}

/** The calls on which the kernel and the simulator differ. */
function differing(t: { teardown(handler: () => unknown): void }, programs: readonly Uint8Array[], random: Random) {
  const simulator = new Simulator(programs)
  const calls = Array.from({ length: 500 }, () => {
    const args = [
      BigInt.asUintN(64, -1n),
      ...Array.from({ length: 5 }, () => (random.chance(0.6) ? BigInt(random.below(64)) : random.bigint(64))),
    ]
    return { number: library.resolveName('x86_64', random.pick(CALLS)) as number, args }
  })
  const { installed, results } = stack(
    t,
    programs,
    calls.map(({ number, args }) => [number, ...args].join()),
  )
  const expected = calls.map(({ number, args }) => simulator.run({ arch: X86_64, number, args }) === ALLOW)
  const wrong = results.filter((result, index) => (result !== -EPERM) !== expected[index])
  return { installed, answers: results.length, wrong, allowed: expected.filter(Boolean).length }
}

test('random rules in one program', async (t) => {
  const random = new Random(31)
  for (let round = 0; round < 10; round++) {
    const ruled = CALLS.map(
      (name): AllowedSyscall => ({
        name,
        rules: Array.from({ length: 1 + random.below(9) }, () => randomRule(random)),
      }),
    )
    const programs = compileFilter(library, policy([...NEEDED, ...ruled]), 'errno')
    const { allowed, ...rest } = differing(t, programs, random)
    t.same(rest, { installed: programs.map(() => 0), answers: 500, wrong: [] }, `round ${round}, ${allowed} allowed`)
  }
})

test('several programs: in their order, as each but the last one lets the next one be installed', {
  skip: process.arch !== 'x64' && 'x86-64 numbers',
}, async (t) => {
  const random = new Random(32)
  const ruled = CALLS.map(
    (name, index): AllowedSyscall => ({
      name,
      rules: Array.from({ length: 1200 }, (_, value) => [{ index: 1, op: '==', value: value * (index + 2) }]),
    }),
  )
  const programs = compileFilter(library, policy([...NEEDED, ...ruled]), 'errno')
  t.ok(programs.length > 1, `${programs.length} programs`)
  const { allowed, ...rest } = differing(t, programs, random)
  t.same(rest, { installed: programs.map(() => 0), answers: 500, wrong: [] })
  t.ok(allowed > 20, `${allowed} of 500 allowed`)
  const reversed = stack(t, programs.toReversed())
  t.same(
    reversed.installed,
    programs.map((_, index) => (index === 0 ? 0 : -EPERM)),
    'the last one refuses seccomp(2)',
  )
})
