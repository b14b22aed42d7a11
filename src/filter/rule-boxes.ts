/** The rules of a call as boxes: what each 32-bit word of the call's arguments may be. A call is allowed where it is in one of them. */
import type { Comparison, Uint64 } from '../generated/policy.ts'
import { alignedBlocks } from '../policy/ranges.ts'
import { decodeUint64 } from '../policy/uint64.ts'
import { WORDS } from './diagram.ts'
import { FULL, isEmpty, isFull, type ValueSet, type ValueSets } from './value-set.ts'

export interface RuleBox {
  /** The words that may not be anything, ascending. */
  readonly words: readonly number[]
  /** By word; undefined: anything. None is empty. */
  readonly sets: readonly (ValueSet | undefined)[]
}

/** What some words of an argument must be, all of them. */
type Parts = readonly (readonly [word: number, set: ValueSet])[]

const MAX = 0xffff_ffff
/** The low word of the first argument in struct seccomp_data, in words; the high one follows. */
const ARGUMENTS = 4

/** `bits`: 32 where the high half of an argument means nothing. */
export function ruleBoxes(sets: ValueSets, rules: readonly Comparison[][], bits: 32 | 64): RuleBox[] {
  return rules.flatMap((rule) => {
    let boxes: (ValueSet | undefined)[][] = [new Array(WORDS).fill(undefined)]
    for (const comparison of rule.flatMap(withoutEnds)) {
      const ways = waysOf(sets, comparison, bits)
      boxes = boxes.flatMap((box) => ways.map((parts) => narrowed(sets, box, parts)).filter((one) => one !== undefined))
    }
    return boxes.map((box) => ({ words: [...box.keys()].filter((word) => box[word] !== undefined), sets: box }))
  })
}

function narrowed(sets: ValueSets, box: readonly (ValueSet | undefined)[], parts: Parts) {
  const result = [...box]
  for (const [word, set] of parts) {
    const both = sets.both(result[word] ?? FULL, set)
    if (isEmpty(both)) return undefined
    result[word] = isFull(both) ? undefined : both
  }
  return result
}

type OneOperand = Comparison & { readonly op: Exclude<Comparison['op'], 'range'> }

/** A range of the whole argument is two comparisons, which both hold. */
function withoutEnds(comparison: Comparison): Comparison[] {
  const { index, op, value, to, mask } = comparison
  if (op !== 'range' || mask !== undefined) return [comparison]
  return [
    { index, op: '>=', value },
    { index, op: '<=', value: to ?? value },
  ]
}

/** A range of some bits is the whole low word, or blocks that exclude each other. */
function waysOf(sets: ValueSets, comparison: Comparison, bits: 32 | 64): Parts[] {
  const { index, op, value, to, mask } = comparison
  if (op !== 'range') return waysOfOne(sets, comparison as OneOperand, bits)
  const interval = {
    from: decodeUint64(value),
    to: decodeUint64(to ?? value),
    mask: decodeUint64(mask ?? 0),
    whole: false,
  }
  if (interval.mask === BigInt(MAX)) return [[[ARGUMENTS + 2 * index, [Number(interval.from), Number(interval.to)]]]]
  return alignedBlocks(index, interval).flatMap((block) => waysOfOne(sets, block as OneOperand, bits))
}

/** A comparison of 64 bits is one of two words, or two such that exclude each other. */
function waysOfOne(sets: ValueSets, { index, op, value, mask }: OneOperand, bits: 32 | 64): Parts[] {
  const [high, low] = halves(value)
  const lowWord = ARGUMENTS + 2 * index
  const highWord = lowWord + 1
  if (op === 'masked==') {
    const [highMask, lowMask] = halves(mask ?? 0)
    if ((high & ~highMask) !== 0) return []
    const parts: Parts = [
      [lowWord, sets.masked(lowMask, low)],
      [highWord, sets.masked(highMask, high)],
    ]
    return [bits === 64 ? parts : parts.slice(0, 1)]
  }
  if (bits === 32) return op === '==' && high !== 0 ? [] : [[[lowWord, valuesFor(op, low)]]]
  const beside = (set: ValueSet): Parts => [
    [highWord, [high, high]],
    [lowWord, set],
  ]
  // Where the high words are equal the low ones count.
  if (op === '==') return [beside([low, low])]
  return [[[highWord, valuesFor(op === '<=' ? '<' : op === '>=' ? '>' : op, high)]], beside(valuesFor(op, low))]
}

function valuesFor(op: Exclude<Comparison['op'], 'masked==' | 'range'>, value: number): ValueSet {
  const below: readonly number[] = value === 0 ? [] : [0, value - 1]
  const above: readonly number[] = value === MAX ? [] : [value + 1, MAX]
  switch (op) {
    case '==':
      return [value, value]
    case '!=':
      return [...below, ...above]
    case '<':
      return below
    case '<=':
      return [0, value]
    case '>':
      return above
    case '>=':
      return [value, MAX]
  }
}

function halves(value: Uint64): [high: number, low: number] {
  // BigInt would take most of the time here.
  if (typeof value === 'number') return [Math.floor(value / 2 ** 32), value >>> 0]
  const wide = decodeUint64(value)
  return [Number(wide >> 32n), Number(wide & 0xffff_ffffn)]
}
