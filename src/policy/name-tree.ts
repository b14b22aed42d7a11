/**
 * Sets of names that form a tree, such as paths, each with some bits. Where there are too many they are collapsed into one that stands for all
 * of them, by the rule of tracer/README.md ("Collapsing"). What is collapsed depends on the whole set only, so the union of sets is
 * commutative, associative and idempotent. Pure.
 */

/** `names`: any name directly in a place; `all`: everything below it. */
export type Covers = 'names' | 'all'

export interface TreeEntry {
  readonly parts: readonly string[]
  readonly covers?: Covers
  readonly bits: number
  /** The first run that had it. */
  readonly since?: string
}

export interface TreeLimits {
  /** What names directly in a place may weigh. */
  readonly names: number
  /** What everything below a place may weigh, by its depth; the last one for all that are deeper. */
  readonly below: readonly number[]
}

/** Of two runs, or none, the one that was first. */
export type Earlier = (a: string | undefined, b: string | undefined) => string | undefined

/** Characters of a path for which a fact weighs 1 more. */
const UNIT = 128

interface Fact {
  bits: number
  since: string | undefined
}

class Node {
  readonly children = new Map<string, Node>()
  own: Fact | undefined
  names: Fact | undefined
  all: Fact | undefined
}

/** The set in its one form: each name once, sorted, collapsed where it is too large. */
export function collapse(entries: readonly TreeEntry[], limits: TreeLimits, earlier: Earlier): TreeEntry[] {
  const root = new Node()
  for (const entry of entries) insert(root, entry, earlier)
  new Collapser(limits, earlier).weigh(root, 0, 0)
  return [...listed(root, [])]
}

function insert(root: Node, { parts, covers, bits, since }: TreeEntry, earlier: Earlier): void {
  let node = root
  for (const part of parts) {
    let child = node.children.get(part)
    if (child === undefined) {
      child = new Node()
      node.children.set(part, child)
    }
    node = child
  }
  node[covers ?? 'own'] = united(node[covers ?? 'own'], { bits, since }, earlier)
}

function united(a: Fact | undefined, b: Fact | undefined, earlier: Earlier): Fact | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return { bits: a.bits | b.bits, since: earlier(a.since, b.since) }
}

class Collapser {
  readonly #limits: TreeLimits
  readonly #earlier: Earlier

  constructor(limits: TreeLimits, earlier: Earlier) {
    this.#limits = limits
    this.#earlier = earlier
  }

  /** What is below the node weighs; `length`: of the node's own name, with all before it. */
  weigh(node: Node, depth: number, length: number): number {
    const limit = this.#limits.below[Math.min(depth, this.#limits.below.length - 1)] as number
    if (node.all === undefined) {
      const below = this.#weighOpen(node, depth, length)
      if (below <= limit) return below
    }
    this.#collapseAll(node)
    return limit + 1
  }

  #weighOpen(node: Node, depth: number, length: number): number {
    const { names: most } = this.#limits
    let direct = 0
    let deeper = 0
    for (const [part, child] of node.children) {
      const own = length + part.length + 1
      deeper += this.weigh(child, depth + 1, own)
      direct += bitCount(child.own?.bits ?? 0) * (1 + Math.floor(own / UNIT))
    }
    if (node.names !== undefined || direct > most) {
      this.#collapseNames(node)
      direct = most + 1
    }
    return direct + deeper
  }

  #collapseNames(node: Node): void {
    for (const [part, child] of node.children) {
      node.names = united(node.names, child.own, this.#earlier)
      child.own = undefined
      if (child.children.size === 0 && child.names === undefined && child.all === undefined) node.children.delete(part)
    }
  }

  #collapseAll(node: Node): void {
    node.all = united(node.all, node.names, this.#earlier)
    node.names = undefined
    for (const child of node.children.values()) {
      this.#collapseAll(child)
      node.all = united(node.all, united(child.own, child.all, this.#earlier), this.#earlier)
    }
    node.children.clear()
  }
}

function bitCount(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}

/** A name before what it covers, and names in the order of their characters. */
function* listed(node: Node, parts: readonly string[]): Generator<TreeEntry> {
  if (node.own !== undefined) yield entry(parts, node.own)
  if (node.names !== undefined) yield entry(parts, node.names, 'names')
  if (node.all !== undefined) yield entry(parts, node.all, 'all')
  const children = [...node.children].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [part, child] of children) yield* listed(child, [...parts, part])
}

function entry(parts: readonly string[], { bits, since }: Fact, covers?: Covers): TreeEntry {
  return { parts, bits, ...(covers === undefined ? {} : { covers }), ...(since === undefined ? {} : { since }) }
}
