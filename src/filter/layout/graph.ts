/**
 * Decisions about a call as a graph: tests of single words of struct seccomp_data with two ways on, down to what a filter returns. Equal
 * nodes are one node, so that whatever follows is laid out once.
 */

/** A test reads a 32-bit word at a byte offset of struct seccomp_data, keeps the bits of a mask, and compares. Unsigned. */
export interface Test {
  readonly kind: 'test'
  readonly word: number
  readonly mask: number
  readonly op: Operator
  readonly k: number
  readonly yes: Node
  readonly no: Node
  readonly id: number
}

/** BPF_JEQ, BPF_JGE and BPF_JSET (some bit of k is set) of linux/bpf_common.h. */
export type Operator = '==' | '>=' | '&'

export interface Return {
  readonly kind: 'return'
  /** SECCOMP_RET_* | data. */
  readonly value: number
  readonly id: number
}

/** Goes on with the program that stands behind this one. */
export interface Continue {
  readonly kind: 'continue'
  readonly id: number
}

export type Node = Test | Return | Continue

export const WHOLE_WORD = 0xffff_ffff

/** More than what several full programs have: whatever has more nodes would be refused in the end. */
const MAX_NODES = 200_000

export class TooManyNodes extends Error {}

export class Graph {
  readonly #nodes = new Map<string, Node>()

  return(value: number): Node {
    return this.#one(`r${value}`, (id) => ({ kind: 'return', value, id }))
  }

  get continue(): Node {
    return this.#one('c', (id) => ({ kind: 'continue', id }))
  }

  /** Throws TooManyNodes. */
  test(word: number, mask: number, op: Operator, k: number, yes: Node, no: Node): Node {
    if (yes === no) return yes
    return this.#one(`${word} ${mask} ${op} ${k} ${yes.id} ${no.id}`, (id) => ({
      kind: 'test',
      word,
      mask,
      op,
      k,
      yes,
      no,
      id,
    }))
  }

  #one(key: string, make: (id: number) => Node): Node {
    const known = this.#nodes.get(key)
    if (known !== undefined) return known
    if (this.#nodes.size >= MAX_NODES) throw new TooManyNodes()
    const node = make(this.#nodes.size)
    this.#nodes.set(key, node)
    return node
  }
}

/** All nodes that can be reached, each behind those that it leads to; what `no` leads to comes last before a test. */
export function bottomUp(root: Node): Node[] {
  const order: Node[] = []
  const entered = new Set<Node>()
  const left = new Set<Node>()
  const stack: Node[] = [root]
  for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
    if (!entered.has(node)) {
      entered.add(node)
      if (node.kind === 'test') {
        // The last one pushed is visited first.
        if (!entered.has(node.no)) stack.push(node.no)
        if (!entered.has(node.yes)) stack.push(node.yes)
      }
    } else {
      stack.pop()
      if (!left.has(node)) order.push(node)
      left.add(node)
    }
  }
  return order
}
