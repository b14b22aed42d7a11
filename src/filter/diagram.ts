/**
 * Decision diagrams over the bits of a call (reduced, ordered, shared: Bryant, IEEE Transactions on Computers C-35, 1986), with actions
 * at the ends. Equal functions are the same node, so that comparing two of them costs nothing, and walking two that differ finds a call.
 */

/** The words of struct seccomp_data (linux/seccomp.h) by index: nr, arch, instruction_pointer (2), args[6] (2 each, the low one first). */
export const WORD_NUMBER = 0
export const WORD_ARCH = 1
export const WORDS = 16
export const ARGUMENTS = 6

/** Bits of one word or argument stand together, the highest first: then sets of neighbouring values are small. */
const LEVELS = WORDS * 32
/** The node that ends with "no" and the one that ends with "yes": what a condition leads to. */
export const FALSE = 0
export const TRUE = 1

/** More than this is given up (64 MiB): what people write and what is learned needs some thousands. */
const MAX_NODES = 4_000_000

/** The question goes beyond what the procedure decides; nothing is claimed. */
export class Undecidable extends Error {
  override readonly name = 'Undecidable'
}

const IN_ORDER = [0, 1, 2, 3, 4, 5]

export class Diagram {
  #level = new Int32Array(256)
  #low = new Int32Array(256)
  #high = new Int32Array(256)
  #size = 2
  #table = new Int32Array(512)
  /** Remembers results of select and combine; may forget. Four numbers each: three operands and the result + 1. */
  #cache = new Int32Array(4 * 256)
  readonly #ends = new Map<number, number>()
  readonly #values: number[] = []
  readonly #order: readonly number[]

  /** `order`: the arguments from the one that is decided first to the last one. It says nothing of the meaning, and much of the size. */
  constructor(order: readonly number[] = IN_ORDER) {
    this.#order = order
    this.#level.fill(LEVELS, 0, 2)
  }

  /** The level of a word's highest bit. The arguments come first, each with the high word before the low one. */
  levelOfWord(word: number): number {
    if (word < 2) return (14 + word) * 32
    if (word < 4) return (15 - word) * 32
    return this.levelOfArgument((word - 4) >>> 1) + (word % 2 === 0 ? 32 : 0)
  }

  /** The level of the highest of an argument's 64 bits. */
  levelOfArgument(index: number): number {
    return this.#order.indexOf(index) * 64
  }

  /** The argument whose bit a level is; ARGUMENTS for the instruction pointer, and more for what comes behind it. */
  argumentAt(level: number): number {
    const place = Math.floor(level / 64)
    return this.#order[place] ?? place
  }

  get size(): number {
    return this.#size
  }

  /** The node that ends with a value. */
  end(value: number): number {
    let node = this.#ends.get(value)
    if (node === undefined) {
      node = this.#append(LEVELS, this.#values.length, 0)
      this.#values.push(value)
      this.#ends.set(value, node)
    }
    return node
  }

  /** LEVELS where the node is an end. */
  level(node: number): number {
    return this.#level[node] as number
  }

  isEnd(node: number): boolean {
    return this.#level[node] === LEVELS
  }

  value(end: number): number {
    return this.#values[this.#low[end] as number] as number
  }

  /** Where a node leads when its bit is 0 and when it is 1. */
  low(node: number): number {
    return this.#low[node] as number
  }

  high(node: number): number {
    return this.#high[node] as number
  }

  /** Both children must be of deeper levels. */
  node(level: number, low: number, high: number): number {
    if (low === high) return low
    const table = this.#table
    const mask = table.length - 1
    let at = hash(level, low, high) & mask
    for (;;) {
      const found = table[at] as number
      if (found === 0) break
      if (this.#level[found] === level && this.#low[found] === low && this.#high[found] === high) return found
      at = (at + 1) & mask
    }
    const node = this.#append(level, low, high)
    table[at] = node
    if (this.#size * 2 > table.length) this.#rehash(table.length * 2)
    return node
  }

  /** Where the condition holds as `yes`, elsewhere as `no`. */
  select(condition: number, yes: number, no: number): number {
    if (condition === TRUE) return yes
    if (condition === FALSE || yes === no) return no
    if (yes === TRUE && no === FALSE) return condition
    const slot = this.#slot(condition, yes, no)
    if (this.#cached(slot, condition, yes, no)) return (this.#cache[slot + 3] as number) - 1
    const level = Math.min(this.level(condition), this.level(yes), this.level(no))
    const low = this.select(this.#at(condition, level, false), this.#at(yes, level, false), this.#at(no, level, false))
    const high = this.select(this.#at(condition, level, true), this.#at(yes, level, true), this.#at(no, level, true))
    return this.#remember(condition, yes, no, this.node(level, low, high))
  }

  /** Joins two functions at their ends: `join` of two values. Equal functions must join to themselves, and always by the same `join`. */
  combine(a: number, b: number, join: (a: number, b: number) => number): number {
    if (a === b) return a
    const level = Math.min(this.level(a), this.level(b))
    if (level === LEVELS) return this.end(join(this.value(a), this.value(b)))
    const slot = this.#slot(a, b, -1)
    if (this.#cached(slot, a, b, -1)) return (this.#cache[slot + 3] as number) - 1
    const low = this.combine(this.#at(a, level, false), this.#at(b, level, false), join)
    const high = this.combine(this.#at(a, level, true), this.#at(b, level, true), join)
    return this.#remember(a, b, -1, this.node(level, low, high))
  }

  /** The condition "leads to this end". */
  where(node: number, end: number, known: Map<number, number> = new Map()): number {
    if (this.isEnd(node)) return node === end ? TRUE : FALSE
    let condition = known.get(node)
    if (condition === undefined) {
      const low = this.where(this.low(node), end, known)
      condition = this.node(this.level(node), low, this.where(this.high(node), end, known))
      known.set(node, condition)
    }
    return condition
  }

  /** All ends that a node leads to. */
  endsOf(node: number): number[] {
    const seen = new Set([node])
    // A set goes on to what is added to it meanwhile.
    for (const next of seen) if (!this.isEnd(next)) seen.add(this.low(next)).add(this.high(next))
    return [...seen].filter((next) => this.isEnd(next))
  }

  #at(node: number, level: number, bit: boolean): number {
    if (this.#level[node] !== level) return node
    return (bit ? this.#high[node] : this.#low[node]) as number
  }

  #append(level: number, low: number, high: number): number {
    const node = this.#size++
    if (node === this.#level.length) {
      if (node >= MAX_NODES) throw new Undecidable(`more than ${MAX_NODES} different cases must be told apart`)
      this.#level = grown(this.#level)
      this.#low = grown(this.#low)
      this.#high = grown(this.#high)
    }
    this.#level[node] = level
    this.#low[node] = low
    this.#high[node] = high
    return node
  }

  #rehash(length: number): void {
    const table = new Int32Array(length)
    for (let node = 2; node < this.#size; node++) {
      const level = this.#level[node] as number
      if (level === LEVELS) continue
      let at = hash(level, this.#low[node] as number, this.#high[node] as number) & (length - 1)
      while (table[at] !== 0) at = (at + 1) & (length - 1)
      table[at] = node
    }
    this.#table = table
    this.#cache = new Int32Array(2 * length)
  }

  #slot(a: number, b: number, c: number): number {
    return 4 * (hash(a, b, c) & (this.#cache.length / 4 - 1))
  }

  #cached(slot: number, a: number, b: number, c: number): boolean {
    const cache = this.#cache
    return cache[slot + 3] !== 0 && cache[slot] === a && cache[slot + 1] === b && cache[slot + 2] === c
  }

  #remember(a: number, b: number, c: number, result: number): number {
    const slot = this.#slot(a, b, c)
    this.#cache[slot] = a
    this.#cache[slot + 1] = b
    this.#cache[slot + 2] = c
    this.#cache[slot + 3] = result + 1
    return result
  }
}

function hash(a: number, b: number, c: number): number {
  let mixed = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77) ^ Math.imul(c, 0xc2b2ae3d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d)
  return mixed ^ (mixed >>> 13)
}

function grown(column: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(column.length * 2)
  larger.set(column)
  return larger
}
