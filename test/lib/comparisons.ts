/** Random comparisons for tests. */
import type { Comparison } from '../../src/generated/policy.ts'
import type { Random } from './random.ts'

/** Of the whole argument, or of its low bits, between two values that `value` gives. `bits`: of the argument. */
export function randomRange(random: Random, index: number, bits: number, value: () => bigint): Comparison {
  const looked = random.chance(0.5) ? undefined : (1n << BigInt(random.chance(0.5) ? 32 : 1 + random.below(bits))) - 1n
  const ends = [value(), value()].map((end) => (looked === undefined ? end : end & looked))
  const [from, to] = ends.sort((a, b) => (a < b ? -1 : 1)) as [bigint, bigint]
  const mask = looked === undefined ? {} : { mask: String(looked) }
  return { index, op: 'range', value: String(from), to: String(to), ...mask }
}
