/** A condition on arguments, taken apart into boxes that have no call in common: what each argument may be. */
import { ARGUMENTS, type Diagram, FALSE, TRUE } from './diagram.ts'
import { intervalsOf } from './intervals.ts'

/** Values of one argument. */
export interface ValueSet {
  readonly index: number
  /** The bits that are looked at; absent: all. */
  readonly mask?: bigint
  /** From, to, from, to, ... of what these bits are; both included, ascending. */
  readonly ranges: readonly bigint[]
}

/** A call is in the box where all of these hold. An empty box: any arguments. */
export type Box = readonly ValueSet[]

export interface Boxes {
  readonly boxes: readonly Box[]
  /** Whether there are more than these: a list that nobody reads to its end. */
  readonly more: boolean
}

const MAX_RANGES = 64
const WORD = 0xffff_ffffn

/** At most `most` boxes. What depends on the instruction pointer is left out. */
export function boxesOf(diagram: Diagram, condition: number, most: number): Boxes {
  const boxes: Box[] = []
  let more = false
  const walk = (node: number, before: Box): void => {
    if (node === FALSE || more) return
    const index = diagram.argumentAt(diagram.level(node))
    const border = diagram.levelOfArgument(index) + 64
    if (diagram.isEnd(node) || index >= ARGUMENTS) {
      if (boxes.length === most) more = true
      else boxes.push(before)
      return
    }
    for (const next of exitsOf(diagram, node, border)) {
      if (next === FALSE) continue
      const sets = valuesOf(diagram, leadingTo(diagram, node, border, next), index)
      for (const set of sets.sets) walk(next, [...before, set])
      if (!sets.all) more = true
    }
  }
  walk(condition, [])
  return { boxes, more }
}

/** The nodes at `border` or below it that a node leads to, in the order of the smallest value. */
function exitsOf(diagram: Diagram, start: number, border: number): number[] {
  const exits = new Set<number>()
  const seen = new Set<number>()
  const walk = (node: number): void => {
    if (diagram.level(node) >= border) exits.add(node)
    else if (!seen.has(node)) {
      seen.add(node)
      walk(diagram.low(node))
      walk(diagram.high(node))
    }
  }
  walk(start)
  return [...exits]
}

/** The condition "leads to this exit". */
function leadingTo(diagram: Diagram, start: number, border: number, exit: number): number {
  const known = new Map<number, number>()
  const walk = (node: number): number => {
    if (diagram.level(node) >= border) return node === exit ? TRUE : FALSE
    let condition = known.get(node)
    if (condition === undefined) {
      condition = diagram.node(diagram.level(node), walk(diagram.low(node)), walk(diagram.high(node)))
      known.set(node, condition)
    }
    return condition
  }
  return walk(start)
}

/** A set of one argument's values: in ranges where they are few, of the low word where only that is looked at, else by bits. */
function valuesOf(diagram: Diagram, set: number, index: number): { sets: ValueSet[]; all: boolean } {
  const top = diagram.levelOfArgument(index)
  const lowWordOnly = diagram.level(set) >= top + 32
  const ranges = lowWordOnly
    ? intervalsOf(diagram, set, top + 32, 32, MAX_RANGES)
    : intervalsOf(diagram, set, top, 64, MAX_RANGES)
  const patterns = patternsOf(diagram, set, top, MAX_RANGES)
  const rangesCost = ranges === undefined ? Number.POSITIVE_INFINITY : ranges.length / 2
  if (ranges !== undefined && rangesCost <= patterns.length)
    return { sets: [{ index, ...(lowWordOnly ? { mask: WORD } : {}), ranges }], all: true }
  const sets = patterns.slice(0, MAX_RANGES).map(({ mask, value }) => ({ index, mask, ranges: [value, value] }))
  return { sets, all: patterns.length <= MAX_RANGES }
}

/** The ways through a condition on one argument, as bits that are looked at and what they are: one more than `most` at the most. */
function patternsOf(diagram: Diagram, set: number, top: number, most: number): { mask: bigint; value: bigint }[] {
  const patterns: { mask: bigint; value: bigint }[] = []
  const walk = (node: number, mask: bigint, value: bigint): void => {
    if (node === FALSE || patterns.length > most) return
    if (node === TRUE) {
      patterns.push({ mask, value })
      return
    }
    const bit = 1n << BigInt(top + 63 - diagram.level(node))
    walk(diagram.low(node), mask | bit, value)
    walk(diagram.high(node), mask | bit, value | bit)
  }
  walk(set, 0n, 0n)
  return patterns
}
