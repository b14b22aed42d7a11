/** What argument rules have in common. Pure. */
import type { Comparison } from '../generated/policy.ts'
import { alignedBlocks, betweenComparison, intervalOf } from './ranges.ts'
import { decodeUint64, encodeUint64 } from './uint64.ts'

const MAX = (1n << 64n) - 1n

/** Whether a value satisfies a comparison. */
export function satisfies({ op, value, mask, to }: Comparison, argument: bigint): boolean {
  const operand = decodeUint64(value)
  switch (op) {
    case '==':
      return argument === operand
    case '!=':
      return argument !== operand
    case '<':
      return argument < operand
    case '<=':
      return argument <= operand
    case '>':
      return argument > operand
    case '>=':
      return argument >= operand
    case 'masked==':
      return (argument & decodeUint64(mask ?? 0)) === operand
    case 'range': {
      const looked = mask === undefined ? argument : argument & decodeUint64(mask)
      return looked >= operand && looked <= decodeUint64(to ?? value)
    }
  }
}

/** Whether it is certain that no call satisfies both rules. */
export function disjoint(a: readonly Comparison[], b: readonly Comparison[]): boolean {
  return a.some((one) => b.some((other) => one.index === other.index && contradict(one, other)))
}

/** Whether it is certain that no value satisfies both. */
export function contradict(a: Comparison, b: Comparison): boolean {
  if (a.op === '==') return !satisfies(b, decodeUint64(a.value))
  if (b.op === '==') return !satisfies(a, decodeUint64(b.value))
  if (a.op === 'masked==' && b.op === 'masked==') {
    const common = decodeUint64(a.mask ?? 0) & decodeUint64(b.mask ?? 0)
    return ((decodeUint64(a.value) ^ decodeUint64(b.value)) & common) !== 0n
  }
  if (isMasked(a) || isMasked(b)) {
    if (a.op === 'masked==' || a.op === '!=') return blocksContradict(b, a)
    return blocksContradict(a, b)
  }
  const [lowA, highA] = range(a)
  const [lowB, highB] = range(b)
  return lowA > highB || lowB > highA
}

function isMasked({ mask }: Comparison): boolean {
  return mask !== undefined
}

/** Whether no value of a range satisfies the other comparison; not certain where it is none. */
function blocksContradict(range: Comparison, other: Comparison): boolean {
  const interval = intervalOf(range, 64)
  if (interval === undefined) return false
  if (other.op === 'masked==') return alignedBlocks(range.index, interval).every((block) => contradict(block, other))
  const second = intervalOf(other, 64)
  if (second === undefined) return false
  if (second.mask > interval.mask) return blocksContradict(other, range)
  // Both look at the bits of the smaller mask, and the wider one at more, which are 0 where it ends below.
  return second.mask === interval.mask || interval.to <= second.mask
    ? interval.from > second.to || second.from > interval.to
    : false
}

/** The least and the greatest value that may satisfy it, where it looks at the whole argument. */
function range(comparison: Comparison): [bigint, bigint] {
  const { from, to } = intervalOf(comparison, 64) ?? { from: 0n, to: MAX }
  return [from, to]
}

/** Its low 32 bits. */
const LOW = 0xffff_ffffn

/**
 * The comparison as one of an argument of 32 bits, above which there is nothing: a mask of all of them says nothing. Values that do not fit stay as
 * they are.
 */
export function narrowed(comparison: Comparison): Comparison {
  const { mask, ...plain } = comparison
  if (mask === undefined) return comparison
  const low = decodeUint64(mask) & LOW
  if (low !== LOW) return { ...plain, mask: encodeUint64(low) }
  return plain.op === 'masked==' ? { ...plain, op: '==' } : plain
}

/**
 * What a comparison of an argument of 32 bits says of the low half of a register of 64, whatever stands above: alternatives, none where it never
 * holds.
 */
export function ofLowHalf(comparison: Comparison): Comparison[] {
  const { index, op, value, mask } = comparison
  if (op === 'masked==') return [{ ...comparison, mask: encodeUint64(decodeUint64(mask ?? 0) & LOW) }]
  if (op === '==') return [{ index, op: 'masked==', value, mask: encodeUint64(LOW) }]
  const operand = decodeUint64(value)
  const whole = { from: 0n, to: LOW, mask: LOW }
  const interval = intervalOf(comparison, 32)
  const parts =
    interval === undefined
      ? [
          { ...whole, to: operand - 1n },
          { ...whole, from: operand + 1n },
        ]
      : [interval]
  return parts
    .map((part) => ({ ...part, to: part.to < LOW ? part.to : LOW, whole: false }))
    .filter(({ from, to }) => from <= to)
    .map((part) => betweenComparison(index, part))
}

/** The same for rules. */
export function ofLowHalves(rules: readonly Comparison[][]): Comparison[][] {
  return rules.flatMap((rule) =>
    rule.reduce<Comparison[][]>(
      (made, comparison) => made.flatMap((one) => ofLowHalf(comparison).map((choice) => [...one, choice])),
      [[]],
    ),
  )
}

/** What the schema cannot say of a comparison of an argument of so many bits. */
export function* comparisonProblems(comparison: Comparison, bits: number, at: string): Generator<string> {
  const { op, value, to, mask } = comparison
  if (op === 'masked==' && mask === undefined) yield `${at}: masked== needs a mask`
  if (mask !== undefined && op !== 'masked==' && op !== 'range') yield `${at}: a mask goes with masked== and range only`
  if ((op === 'range') !== (to !== undefined)) yield `${at}: to goes with range, and only with it`
  for (const [key, number] of Object.entries({ value, to: to ?? 0, mask: mask ?? 0 })) {
    if (decodeUint64(number) >> BigInt(bits) !== 0n) yield `${at}/${key}: ${number} does not fit ${bits} bits`
  }
  if (op !== 'range' || to === undefined) return
  if (decodeUint64(value) > decodeUint64(to)) yield `${at}: the range ends at ${to}, before it begins at ${value}`
  if (mask === undefined) return
  const looked = decodeUint64(mask)
  if (looked === 0n || (looked & (looked + 1n)) !== 0n)
    yield `${at}/mask: a range needs one that has all bits up to its highest one, found ${mask}`
  else if (decodeUint64(to) > looked) yield `${at}/to: ${to} has bits that the mask ${mask} leaves out`
}
