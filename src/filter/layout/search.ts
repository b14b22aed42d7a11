/** Searches: which of many neighbouring ranges a word or a 64-bit value lies in, as a graph of tests. */
import { type Graph, type Node, WHOLE_WORD } from './graph.ts'

/** The values from here to the next segment lead to the node. Segments are sorted, and the first one begins at 0. */
export interface Segment {
  readonly from: number
  readonly node: Node
  /** How often it is looked for, against the others; where none has a weight, all count the same. */
  readonly weight?: number
}

/** A word of struct seccomp_data, and the bits of it that count. */
export interface Word {
  readonly offset: number
  readonly mask: number
}

/** Single values that are tested one after the other, at the leaves of a search: smaller than halving, and hardly slower. */
const LEAF = 4

/** The tests that find a word's segment. */
export function searchWord(graph: Graph, word: Word, segments: readonly Segment[]): Node {
  const [first] = segments
  if (word.mask === 0 && first !== undefined) return first.node
  return new Search(graph, word, merged(segments)).find()
}

/** Neighbours that lead to the same are one. */
function merged(segments: readonly Segment[]): Segment[] {
  const result: Segment[] = []
  for (const segment of segments) {
    const last = result.at(-1)
    if (last?.node !== segment.node) result.push(segment)
    else if (segment.weight !== undefined) {
      result[result.length - 1] = { ...last, weight: (last.weight ?? 0) + segment.weight }
    }
  }
  return result
}

class Search {
  readonly #graph: Graph
  readonly #word: Word
  readonly #segments: readonly Segment[]
  /** The weights of all segments before each; undefined where none has any. */
  readonly #before: number[] | undefined

  constructor(graph: Graph, word: Word, segments: readonly Segment[]) {
    this.#graph = graph
    this.#word = word
    this.#segments = segments
    if (segments.some(({ weight }) => weight !== undefined)) {
      this.#before = [0]
      for (const { weight = 0 } of segments) this.#before.push((this.#before.at(-1) as number) + weight)
    }
  }

  find(): Node {
    return this.#between(0, this.#segments.length)
  }

  /** Of the segments from one to before the other. */
  #between(start: number, end: number): Node {
    if (end - start === 1) return this.#at(start).node
    const leaf = this.#leaf(start, end)
    if (leaf !== undefined) return leaf
    const middle = this.#before === undefined ? fullHalf(start, end) : this.#balanced(this.#before, start, end)
    return this.#test('>=', this.#at(middle).from, this.#between(middle, end), this.#between(start, middle))
  }

  /** Few single values among one that is all around: each is compared. */
  #leaf(start: number, end: number): Node | undefined {
    if (end - start > 2 * LEAF + 1) return undefined
    const segments = this.#segments.slice(start, end)
    const wide = segments.filter((_, index) => !this.#isSingle(start + index))
    const around = (wide[0] ?? (segments[0] as Segment)).node
    const values = segments.filter(({ node }) => node !== around)
    if (values.length > LEAF || wide.some(({ node }) => node !== around)) return undefined
    // The last one is tested first.
    const rising = values.toSorted((a, b) => (a.weight ?? 0) - (b.weight ?? 0) || b.from - a.from)
    if (rising.length === 1 && this.#segments.length <= 3) return this.#only(rising[0] as Segment, around)
    return rising.reduce((no, { from, node }) => this.#test('==', from, node, no), around)
  }

  #isSingle(at: number): boolean {
    return (this.#segments[at + 1]?.from ?? WHOLE_WORD + 1) === this.#at(at).from + 1
  }

  /** One value alone. Whether all bits of a mask are clear, or a single one is set, can be seen without cutting the others off. */
  #only({ from, node }: Segment, around: Node): Node {
    const { offset, mask } = this.#word
    if (mask !== WHOLE_WORD && from === 0) return this.#graph.test(offset, WHOLE_WORD, '&', mask, around, node)
    if (from === mask && isPowerOfTwo(mask)) return this.#graph.test(offset, WHOLE_WORD, '&', mask, node, around)
    return this.#test('==', from, node, around)
  }

  /** The border that leaves as much weight on one side as on the other. */
  #balanced(before: readonly number[], start: number, end: number): number {
    const [low, high] = [before[start] as number, before[end] as number]
    let best = start + 1
    for (let at = start + 1; at < end; at++) {
      const off = (border: number) => Math.abs(2 * (before[border] as number) - low - high)
      if (off(at) < off(best)) best = at
    }
    return best
  }

  #test(op: '==' | '>=', k: number, yes: Node, no: Node): Node {
    return this.#graph.test(this.#word.offset, this.#word.mask, op, k, yes, no)
  }

  #at(index: number): Segment {
    return this.#segments[index] as Segment
  }
}

/** The border whose left side fills its leaves: of single values with gaps between them, a leaf takes 2 * LEAF segments. */
function fullHalf(start: number, end: number): number {
  const leaves = Math.ceil((end - start) / (2 * LEAF))
  const left = 2 ** Math.floor(Math.log2(Math.max(1, leaves - 1)))
  const half = start + left * 2 * LEAF
  return half < end ? half : start + Math.floor((end - start) / 2)
}

function isPowerOfTwo(value: number): boolean {
  return value !== 0 && (value & (value - 1)) === 0
}

/** The same for 64 bits. */
export interface WideSegment {
  readonly from: bigint
  readonly node: Node
}

/** Where the words of a value stand; `fixedHigh`: what is known of the high one, or undefined. */
export interface WideWord {
  readonly low: Word
  readonly high: Word
  readonly fixedHigh: number | undefined
}

/** The tests that find a value's segment: the high word first, and the low one where it matters. */
export function searchValue(graph: Graph, { low, high, fixedHigh }: WideWord, segments: readonly WideSegment[]): Node {
  const highs: Segment[] = []
  const put = (from: number, node: Node) => {
    if (highs.at(-1)?.from === from) highs.pop()
    highs.push({ from, node })
  }
  for (let at = 0; at < segments.length; ) {
    const from = highOf(segments[at] as WideSegment)
    const before = segments[at - 1]
    const lows: Segment[] = before === undefined ? [] : [{ from: 0, node: before.node }]
    for (; at < segments.length && highOf(segments[at] as WideSegment) === from; at++) {
      const segment = segments[at] as WideSegment
      const start = Number(segment.from & 0xffff_ffffn)
      if (start === 0) lows.length = 0
      lows.push({ from: start, node: segment.node })
    }
    const found = searchWord(graph, low, lows)
    if (from === fixedHigh) return found
    put(from, found)
    if (lows.length > 1 && from < WHOLE_WORD) put(from + 1, (segments[at - 1] as WideSegment).node)
  }
  if (fixedHigh === undefined) return searchWord(graph, high, highs)
  return highs.findLast(({ from }) => from <= fixedHigh)?.node as Node
}

function highOf({ from }: WideSegment): number {
  return Number(from >> 32n)
}
