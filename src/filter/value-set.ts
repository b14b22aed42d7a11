/**
 * Sets of values of one 32-bit word: ranges where they are few, else a node of a Diagram (masks, of which "no bit but these" has two
 * thousand million ranges). What filters and rules mostly compare, single values and ranges, never becomes a node.
 */
import { type Content, condition, isWhole } from './content.ts'
import { Diagram, FALSE, TRUE } from './diagram.ts'
import { intervalsOf } from './intervals.ts'
import { JEQ, JGT, JSET } from './program.ts'

/** From, to, from, to, ... (both included, ascending, apart from each other), or a node of ValueSets. Neither is ever changed. */
export type ValueSet = readonly number[] | number

const MAX = 0xffff_ffff
export const EMPTY: ValueSet = []
export const FULL: ValueSet = [0, MAX]

/** Sets of more ranges become nodes, unless they are made of ranges. */
const FEW_RANGES = 8
/** The word whose levels stand for those of every word (its first argument's low one). */
const WORD = 4

export function isEmpty(set: ValueSet): boolean {
  return typeof set !== 'number' && set.length === 0
}

export function isFull(set: ValueSet): boolean {
  return set === FULL || (typeof set !== 'number' && set[0] === 0 && set[1] === MAX)
}

/** All sets of one proof. Throws Undecidable where they grow beyond what a Diagram holds. */
export class ValueSets {
  readonly #diagram = new Diagram()
  /** Of ranges. */
  readonly #nodes = new WeakMap<readonly number[], number>()
  readonly #top = this.#diagram.levelOfWord(WORD)

  /** The values of a content's word for which a comparison of the content holds. */
  comparing(operation: number, a: Content, compared: number): ValueSet {
    if (isWhole(a) && operation !== JSET) {
      if (operation === JEQ) return [compared, compared]
      const from = operation === JGT ? compared + 1 : compared
      return from > MAX ? EMPTY : [from, MAX]
    }
    return this.#simplest(condition(this.#diagram, operation, { ...a, word: WORD }, compared))
  }

  /** The values whose bits of a mask are these. */
  masked(mask: number, bits: number): ValueSet {
    if ((bits & ~mask) !== 0) return EMPTY
    if (mask === 0) return FULL
    return this.comparing(JEQ, { word: WORD, shift: 0, mask: mask >>> 0, flip: 0 }, bits >>> 0)
  }

  both(a: ValueSet, b: ValueSet): ValueSet {
    if (a === b || isFull(b)) return a
    if (isFull(a)) return b
    if (typeof a !== 'number' && typeof b !== 'number') return intersection(a, b)
    if (typeof a === 'number' && isSingle(b)) return this.#has(a, b[0] as number) ? b : EMPTY
    if (typeof b === 'number' && isSingle(a)) return this.#has(b, a[0] as number) ? a : EMPTY
    return this.#set(this.#diagram.select(this.#node(a), this.#node(b), FALSE))
  }

  /** Of the one what is not in the other. */
  without(a: ValueSet, b: ValueSet): ValueSet {
    if (typeof a !== 'number' && typeof b !== 'number') return intersection(a, complement(b))
    if (typeof b === 'number' && isSingle(a)) return this.#has(b, a[0] as number) ? EMPTY : a
    return this.#set(this.#diagram.select(this.#node(b), FALSE, this.#node(a)))
  }

  either(a: ValueSet, b: ValueSet): ValueSet {
    if (isFull(a) || isEmpty(b)) return a
    if (isFull(b) || isEmpty(a)) return b
    if (typeof a !== 'number' && typeof b !== 'number')
      return complement(intersection(complement(a), complement(b)) as readonly number[])
    return this.#set(this.#diagram.select(this.#node(a), TRUE, this.#node(b)))
  }

  union(all: readonly ValueSet[]): ValueSet {
    const ranges: (readonly number[])[] = []
    let node = FALSE
    for (const set of all) {
      if (typeof set === 'number') node = this.#diagram.select(set, TRUE, node)
      else for (let at = 0; at < set.length; at += 2) ranges.push([set[at] as number, set[at + 1] as number])
    }
    const merged: number[] = []
    for (const [from = 0, to = 0] of ranges.sort(([a = 0], [b = 0]) => a - b)) {
      const last = merged.at(-1)
      if (last === undefined || from > last + 1) merged.push(from, to)
      else if (to > last) merged[merged.length - 1] = to
    }
    return this.either(merged, this.#set(node))
  }

  /** Whether they have a value in common. */
  meet(a: ValueSet, b: ValueSet): boolean {
    if (typeof a !== 'number' && typeof b !== 'number') return overlap(a, b)
    if (typeof a === 'number' && isSingle(b)) return this.#has(a, b[0] as number)
    if (typeof b === 'number' && isSingle(a)) return this.#has(b, a[0] as number)
    return !isEmpty(this.both(a, b))
  }

  /** Whether all values of the one are in the other. */
  within(a: ValueSet, b: ValueSet): boolean {
    if (a === b || isFull(b)) return true
    if (typeof a !== 'number' && typeof b !== 'number') return contains(b, a)
    if (typeof b === 'number' && isSingle(a)) return this.#has(b, a[0] as number)
    return isEmpty(this.without(a, b))
  }

  /** The smallest value of a set that is not empty. */
  first(set: ValueSet): number {
    if (typeof set !== 'number') return set[0] as number
    let value = 0
    for (let node = set; node !== TRUE; ) {
      const bit = this.#diagram.low(node) === FALSE
      if (bit) value += 2 ** this.#bit(node)
      node = bit ? this.#diagram.high(node) : this.#diagram.low(node)
    }
    return value
  }

  #has(set: number, value: number): boolean {
    let node = set
    while (node !== TRUE && node !== FALSE)
      node = (value >>> this.#bit(node)) & 1 ? this.#diagram.high(node) : this.#diagram.low(node)
    return node === TRUE
  }

  #bit(node: number): number {
    return this.#top + 31 - this.#diagram.level(node)
  }

  #set(node: number): ValueSet {
    return node === FALSE ? EMPTY : node === TRUE ? FULL : node
  }

  #simplest(node: number): ValueSet {
    const ranges = intervalsOf(this.#diagram, node, this.#top, 32, FEW_RANGES)
    return ranges === undefined ? node : ranges.map(Number)
  }

  #node(set: ValueSet): number {
    if (typeof set === 'number') return set
    if (isFull(set)) return TRUE
    let node = this.#nodes.get(set)
    if (node === undefined) {
      node = FALSE
      for (let at = 0; at < set.length; at += 2)
        node = this.#diagram.select(this.#between(set[at] as number, set[at + 1] as number), TRUE, node)
      this.#nodes.set(set, node)
    }
    return node
  }

  #between(from: number, to: number): number {
    const level = this.#top + 31
    let [above, below] = [TRUE, TRUE]
    for (let bit = 0; bit < 32; bit++) {
      above =
        (from >>> bit) & 1
          ? this.#diagram.node(level - bit, FALSE, above)
          : this.#diagram.node(level - bit, above, TRUE)
      below =
        (to >>> bit) & 1 ? this.#diagram.node(level - bit, TRUE, below) : this.#diagram.node(level - bit, below, FALSE)
    }
    return this.#diagram.select(above, below, FALSE)
  }
}

export function isSingle(set: ValueSet): set is readonly number[] {
  return typeof set !== 'number' && set.length === 2 && set[0] === set[1]
}

function complement(set: readonly number[]): readonly number[] {
  const result: number[] = []
  let next = 0
  for (let at = 0; at < set.length; at += 2) {
    if (next < (set[at] as number)) result.push(next, (set[at] as number) - 1)
    next = (set[at + 1] as number) + 1
  }
  if (next <= MAX) result.push(next, MAX)
  return result
}

function intersection(a: readonly number[], b: readonly number[]): ValueSet {
  const result: number[] = []
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const from = Math.max(a[i] as number, b[j] as number)
    const endOfA = a[i + 1] as number
    const endOfB = b[j + 1] as number
    if (from <= endOfA && from <= endOfB) result.push(from, Math.min(endOfA, endOfB))
    if (endOfA < endOfB) i += 2
    else j += 2
  }
  return result
}

function overlap(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if ((a[i + 1] as number) < (b[j] as number)) i += 2
    else if ((b[j + 1] as number) < (a[i] as number)) j += 2
    else return true
  }
  return false
}

function contains(whole: readonly number[], part: readonly number[]): boolean {
  let at = 0
  for (let i = 0; i < part.length; i += 2) {
    while (at < whole.length && (whole[at + 1] as number) < (part[i + 1] as number)) at += 2
    if (at >= whole.length || (whole[at] as number) > (part[i] as number)) return false
  }
  return true
}
