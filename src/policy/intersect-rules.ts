/** The rules that hold where rules of two lists both hold. Pure. */
import type { Comparison } from '../generated/policy.ts'
import { alignedBlocks, betweenComparison, type Interval, intervalOf } from './ranges.ts'
import { contradict, disjoint, satisfies } from './rules.ts'
import { canonicalRules } from './syscalls.ts'
import { decodeUint64, encodeUint64 } from './uint64.ts'

type Bits = 32 | 64

/** Each rule of the one with each of the other; `lost`: called for each pair whose common part no rules can say. `bits`: of an argument. */
export function intersectRules(
  a: readonly Comparison[][],
  b: readonly Comparison[][],
  bits: Bits,
  lost: () => void,
): Comparison[][] {
  const both: Comparison[][] = []
  for (const one of a.filter(mayHold)) {
    for (const other of b.filter(mayHold)) {
      if (disjoint(one, other)) continue
      const rules = intersectRule(one, other, bits)
      if (rules === undefined) lost()
      else both.push(...rules)
    }
  }
  return canonicalRules(both)
}

/** Bits outside of the mask are never there; joined with another mask they could be. */
function mayHold(rule: readonly Comparison[]): boolean {
  return rule.every(
    ({ op, value, mask }) => op !== 'masked==' || (decodeUint64(value) & ~decodeUint64(mask ?? 0)) === 0n,
  )
}

/** Undefined where rules with one comparison for each argument cannot say it. */
function intersectRule(a: readonly Comparison[], b: readonly Comparison[], bits: Bits): Comparison[][] | undefined {
  let rules: Comparison[][] = [[...a]]
  for (const other of b) {
    const own = a.find(({ index }) => index === other.index)
    const choices = own === undefined ? [other] : intersectComparison(own, other, bits)
    if (choices === undefined) return undefined
    rules = rules.flatMap((rule) =>
      choices.map((choice) => [...rule.filter(({ index }) => index !== other.index), choice]),
    )
  }
  return rules
}

/** Alternatives. Of two that do not contradict each other. */
function intersectComparison(a: Comparison, b: Comparison, bits: Bits): Comparison[] | undefined {
  // One value satisfies the other comparison.
  if (a.op === '==') return [a]
  if (b.op === '==') return [b]
  if (a.op === 'masked==' && b.op === 'masked==') return [bothMasked(a, b)]
  const [rangeA, rangeB] = [intervalOf(a, bits), intervalOf(b, bits)]
  if (rangeA !== undefined && rangeB !== undefined) return bothRanges(a.index, rangeA, rangeB)
  if (a.op === '!=' && b.op === '!=' && a.value === b.value) return [a]
  if (a.op === '!=') return without(b, rangeB, decodeUint64(a.value), bits)
  if (b.op === '!=') return without(a, rangeA, decodeUint64(b.value), bits)
  if (rangeA !== undefined) return blocksWith(a.index, rangeA, b)
  return rangeB === undefined ? undefined : blocksWith(b.index, rangeB, a)
}

function bothMasked(a: Comparison, b: Comparison): Comparison {
  const value = decodeUint64(a.value) | decodeUint64(b.value)
  const mask = decodeUint64(a.mask ?? 0) | decodeUint64(b.mask ?? 0)
  return { index: a.index, op: 'masked==', value: encodeUint64(value), mask: encodeUint64(mask) }
}

/** Where the one looks at more bits than the other, values that fit the other's are the same under both masks. */
function bothRanges(index: number, a: Interval, b: Interval): Comparison[] | undefined {
  const [wide, narrow] = a.mask > b.mask ? [a, b] : [b, a]
  if (wide.mask !== narrow.mask && wide.to > narrow.mask) return undefined
  const { from } = a.from > b.from ? a : b
  const { to } = a.to < b.to ? a : b
  return from > to ? [] : [betweenComparison(index, { ...wide, from, to })]
}

/** What satisfies a comparison and is not one value. */
function without(
  comparison: Comparison,
  range: Interval | undefined,
  value: bigint,
  bits: Bits,
): Comparison[] | undefined {
  const { index, op } = comparison
  if (!satisfies(comparison, value)) return [comparison]
  if (op !== '!=') return range?.whole === true ? around(index, range, [value]) : undefined
  const all = (1n << BigInt(bits)) - 1n
  return around(index, { from: 0n, to: all, mask: all, whole: true }, [value, decodeUint64(comparison.value)])
}

/** The parts of a range between values that are not in them. */
function around(index: number, range: Interval, values: readonly bigint[]): Comparison[] {
  const parts: Interval[] = []
  let { from } = range
  for (const value of values.toSorted((a, b) => (a < b ? -1 : 1))) {
    parts.push({ ...range, from, to: value - 1n })
    from = value + 1n
  }
  parts.push({ ...range, from })
  return parts.filter((part) => part.from <= part.to).map((part) => betweenComparison(index, part))
}

/** A range and a masked comparison: block by block. */
function blocksWith(index: number, range: Interval, masked: Comparison): Comparison[] {
  return alignedBlocks(index, range)
    .filter((block) => !contradict(block, masked))
    .map((block) => bothMasked(block, masked))
}
