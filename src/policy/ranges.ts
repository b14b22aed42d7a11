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

/**
 * Rules that libseccomp, and so whoever loads a profile, translates rightly and soon, and that hold where those of a call do: one comparison
 * alone; rules of one ==, != or masked== each; else == and masked== only, of each argument once. What has an order, and !=, becomes aligned blocks: of several ordered comparisons
 * libseccomp (2.5 and 2.6) makes filters that allow more, or never ends. `bits`: of an argument, of which `both` has 32 in some architectures of
 * the list: there only what is within the low halves has the same blocks. Throws EXPORT_IMPOSSIBLE where it has not, and where too many rules
 * are needed.
 */
export function plainRules(
  rules: readonly (readonly Comparison[])[],
  call: string,
  bits: 32 | 64 | 'both',
): (readonly Comparison[])[] {
  const [first, ...others] = rules
  const [only] = first ?? []
  if (only !== undefined && first?.length === 1 && others.length === 0 && only.op !== 'range') return [[only]]
  if (rules.every(isPlain) || rules.every(isAlone)) return [...rules]
  if (bits === 'both' && !rules.flat().every(isLow)) {
    throw new SandboxError(
      'EXPORT_IMPOSSIBLE',
      `the rules of ${call} cannot be said for 32-bit and 64-bit architectures in one list; export one of them with --architecture`,
    )
  }
  const plain: (readonly Comparison[])[] = []
  for (const rule of rules) {
    plain.push(...blocksOf(rule, call, bits === 'both' ? 64 : bits))
    if (plain.length > MAX_RULES) throw tooMany(call)
  }
  return plain
}

function isLow({ op, mask }: Comparison): boolean {
  return op === '==' || (mask !== undefined && decodeUint64(mask) <= 0xffff_ffffn)
}

/** Alternatives of one comparison each, as the default profiles of containers have them for socket. */
function isAlone([only, ...others]: readonly Comparison[]): boolean {
  return others.length === 0 && only !== undefined && ['==', '!=', 'masked=='].includes(only.op)
}

function isPlain(rule: readonly Comparison[]): boolean {
  const indices = new Set(rule.map(({ index }) => index))
  return indices.size === rule.length && rule.every(({ op }) => op === '==' || op === 'masked==')
}

/** Some bits of an argument, which have a value. */
interface Bits {
  readonly mask: bigint
  readonly value: bigint
}

/** The rules of masked comparisons that a rule comes to. */
function blocksOf(rule: readonly Comparison[], call: string, bits: 32 | 64): (readonly Comparison[])[] {
  const all = (1n << BigInt(bits)) - 1n
  let boxes: ReadonlyMap<number, Bits>[] = [new Map()]
  for (const comparison of rule) {
    const choices = bitsOf(comparison, bits)
    boxes = boxes.flatMap((box) => choices.flatMap((choice) => joined(box, comparison.index, choice)))
    if (boxes.length > MAX_RULES) throw tooMany(call)
  }
  return boxes.map((box) =>
    [...box].map(([number, { mask, value }]): Comparison => {
      const [index, plain] = [number as Comparison['index'], encodeUint64(value)]
      return mask === all
        ? { index, op: '==', value: plain }
        : { index, op: 'masked==', value: plain, mask: encodeUint64(mask) }
    }),
  )
}

/** What of an argument must be what, in one of several ways. */
function bitsOf(comparison: Comparison, bits: 32 | 64): Bits[] {
  const { index, op, value, mask } = comparison
  const all = (1n << BigInt(bits)) - 1n
  const operand = decodeUint64(value)
  if (op === '==') return [{ mask: all, value: operand }]
  if (op === 'masked==') {
    const looked = decodeUint64(mask ?? 0)
    return (operand & ~looked) === 0n ? [{ mask: looked, value: operand }] : [] // it never holds
  }
  const intervals =
    op === '!='
      ? [intervalOf({ index, op: '<', value }, bits), intervalOf({ index, op: '>', value }, bits)]
      : [intervalOf(comparison, bits)]
  return intervals.flatMap((interval) =>
    alignedBlocks(index, interval as Interval).map((block) => ({
      mask: decodeUint64(block.mask ?? 0),
      value: decodeUint64(block.value),
    })),
  )
}

/** A box in which an argument is also that; none where it cannot be. */
function joined(box: ReadonlyMap<number, Bits>, index: number, { mask, value }: Bits): ReadonlyMap<number, Bits>[] {
  const there = box.get(index)
  if (there === undefined) return [new Map(box).set(index, { mask, value })]
  if (((there.value ^ value) & there.mask & mask) !== 0n) return []
  return [new Map(box).set(index, { mask: there.mask | mask, value: there.value | value })]
}

function tooMany(call: string): SandboxError {
  return new SandboxError(
    'EXPORT_IMPOSSIBLE',
    `the rules of ${call} compare ranges or orders of several arguments, for which the format needs more than ${MAX_RULES} rules; divide them by hand`,
  )
}
