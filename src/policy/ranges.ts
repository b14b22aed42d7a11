/**
 * Ranges of an argument's values, and what stands for them where there are none: a range is a list of aligned blocks, each of which one
 * masked comparison says. Profiles and libseccomp have no comparison with two ends, and take two comparisons of one argument for
 * alternatives, or refuse them. Pure.
 */
import { SandboxError } from '../errors.ts'
import type { Comparison } from '../generated/policy.ts'
import { decodeUint64, encodeUint64 } from './uint64.ts'

/** What the bits of a mask lie between, both included. The mask has all bits up to its highest one. */
export interface Interval {
  readonly from: bigint
  readonly to: bigint
  readonly mask: bigint
  /** Whether the mask is the whole argument. */
  readonly whole: boolean
}

/** The interval that a comparison is; undefined where it is none. `bits`: of an argument. */
export function intervalOf({ op, value, to, mask }: Comparison, bits: 32 | 64): Interval | undefined {
  const operand = decodeUint64(value)
  const all = (1n << BigInt(bits)) - 1n
  const whole = { from: 0n, to: all, mask: all, whole: true }
  switch (op) {
    case '<':
      return { ...whole, to: operand - 1n }
    case '<=':
      return { ...whole, to: operand }
    case '>':
      return { ...whole, from: operand + 1n }
    case '>=':
      return { ...whole, from: operand }
    case 'range': {
      const looked = mask === undefined ? all : decodeUint64(mask)
      return { from: operand, to: decodeUint64(to ?? value), mask: looked, whole: looked === all }
    }
    default:
      return undefined
  }
}

/** The comparison of an interval that is not empty. */
export function betweenComparison(index: number, { from, to, mask, whole }: Interval): Comparison {
  const value = encodeUint64(from)
  if (!whole) {
    const bits = { mask: encodeUint64(mask) }
    return from === to
      ? { index, op: 'masked==', value, ...bits }
      : { index, op: 'range', value, to: encodeUint64(to), ...bits }
  }
  if (from === to) return { index, op: '==', value }
  if (to === mask) return { index, op: '>=', value }
  return from === 0n
    ? { index, op: '<=', value: encodeUint64(to) }
    : { index, op: 'range', value, to: encodeUint64(to) }
}

/** Masked comparisons, of which exactly one holds where the interval does. */
export function alignedBlocks(index: number, { from, to, mask }: Interval): Comparison[] {
  const blocks: Comparison[] = []
  for (let start = from; start <= to; ) {
    let size = start === 0n ? mask + 1n : start & -start
    while (start + size - 1n > to) size >>= 1n
    blocks.push({ index, op: 'masked==', value: encodeUint64(start), mask: encodeUint64(mask & ~(size - 1n)) })
    start += size
  }
  return blocks
}

/** More rules than this are not made of one. */
const MAX_RULES = 4096

/** The rules that a rule comes to without ranges; the rule itself where it has none. Throws EXPORT_IMPOSSIBLE where they are too many. */
export function withoutRanges(rule: readonly Comparison[], call: string, bits: 32 | 64): (readonly Comparison[])[] {
  if (rule.every(({ op }) => op !== 'range')) return [rule]
  let rules: (readonly Comparison[])[] = [[]]
  for (const comparison of rule) {
    const choices = comparison.op === 'range' ? plainComparisons(comparison, bits) : [comparison]
    rules = rules.flatMap((before) => choices.map((choice) => [...before, choice]))
    if (rules.length > MAX_RULES) {
      throw new SandboxError(
        'EXPORT_IMPOSSIBLE',
        `a rule of ${call} compares ranges of several arguments, for which the format needs more than ${MAX_RULES} rules; divide it by hand`,
      )
    }
  }
  return rules
}

/** One comparison with one end, where that says it, else blocks. */
function plainComparisons(range: Comparison, bits: 32 | 64): Comparison[] {
  const interval = intervalOf(range, bits) as Interval
  const one = betweenComparison(range.index, interval)
  return one.op === 'range' ? alignedBlocks(range.index, interval) : [one]
}
