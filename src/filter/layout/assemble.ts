/**
 * A graph of decisions -> struct sock_filter[] (linux/filter.h). Written from the end to the start: a filter only jumps forward, so where
 * a jump leads to is known when the jump is written, and so is its distance.
 */
import { bottomUp, type Node, type Operator, type Test, WHOLE_WORD } from './graph.ts'

/** sizeof(struct sock_filter). */
export const INSTRUCTION = 8

/** Opcodes of linux/bpf_common.h. */
const LOAD = 0x20 // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54 // BPF_ALU | BPF_AND | BPF_K
const JUMP = 0x05 // BPF_JMP | BPF_JA
const RETURN = 0x06 // BPF_RET | BPF_K
const COMPARE: Record<Operator, number> = { '==': 0x15, '>=': 0x35, '&': 0x45 } // BPF_JMP | BPF_J* | BPF_K

/** The distances jt and jf of struct sock_filter are 8 bits; that of BPF_JA is 32. */
const MAX_DISTANCE = 255

/** The program of a graph, with `behind` behind it: where its `continue` leads to. */
export function assemble(root: Node, behind: Uint8Array = new Uint8Array()): Uint8Array {
  const assembler = new Assembler()
  const order = bottomUp(root)
  assembler.expect(root, order)
  for (const node of order) assembler.write(node)
  const head = assembler.bytes()
  const program = new Uint8Array(head.length + behind.length)
  program.set(head)
  program.set(behind, head.length)
  return program
}

/** What the accumulator holds where a test begins: nothing of use, its word, or its word without the bits that do not count. */
const ENTRY = { load: 0, mask: 1, compare: 2 } as const
type Entry = keyof typeof ENTRY

class Assembler {
  /** The last instruction first. */
  readonly #code: { code: number; jt: number; jf: number; k: number }[] = []
  /** Where a jump to a node can go: the place of its instruction, or of the newest jump or copy that does the same. */
  readonly #places = new Map<number, number>()
  /** How each test is entered by some way that leads to it. */
  readonly #entries = new Set<number>()

  /** Must come before the first write(). */
  expect(root: Node, nodes: readonly Node[]): void {
    this.#entries.add(placeOf(root, 'load'))
    for (const from of nodes) {
      if (from.kind !== 'test') continue
      for (const to of [from.yes, from.no]) this.#entries.add(placeOf(to, entry(from, to)))
    }
  }

  write(node: Node): void {
    if (node.kind === 'continue') this.#places.set(placeOf(node), -1)
    else if (node.kind === 'return') this.#push(placeOf(node), RETURN, node.value)
    else this.#writeTest(node)
  }

  #writeTest(node: Test): void {
    // What `yes` needs may be one instruction further away when that for `no` is written.
    this.#bringNear(node, node.yes, MAX_DISTANCE - 1)
    this.#bringNear(node, node.no, MAX_DISTANCE)
    const [jt, jf] = [this.#distance(node, node.yes), this.#distance(node, node.no)]
    this.#push(placeOf(node, 'compare'), COMPARE[node.op], node.k, jt, jf)
    const [load, mask] = [placeOf(node, 'load'), placeOf(node, 'mask')]
    const loads = this.#entries.has(load)
    if (node.mask !== WHOLE_WORD && (loads || this.#entries.has(mask))) this.#push(mask, AND, node.mask)
    if (loads) this.#push(load, LOAD, node.word)
  }

  /** Makes sure that a conditional jump written next reaches a node: copies the return, or jumps from here. */
  #bringNear(from: Test, to: Node, limit: number): void {
    const distance = this.#distance(from, to)
    if (distance <= limit) return
    const place = placeOf(to, entry(from, to))
    if (to.kind === 'return') this.#push(place, RETURN, to.value)
    else this.#push(place, JUMP, distance)
  }

  /** How many instructions lie between one that is written next and a node. */
  #distance(from: Test, to: Node): number {
    return this.#code.length - 1 - (this.#places.get(placeOf(to, entry(from, to))) as number)
  }

  #push(place: number, code: number, k: number, jt = 0, jf = 0): void {
    this.#places.set(place, this.#code.length)
    this.#code.push({ code, jt, jf, k })
  }

  bytes(): Uint8Array {
    const length = this.#code.length
    const bytes = new Uint8Array(length * INSTRUCTION)
    const view = new DataView(bytes.buffer)
    for (const [fromEnd, { code, jt, jf, k }] of this.#code.entries()) {
      const at = (length - 1 - fromEnd) * INSTRUCTION
      view.setUint16(at, code, true)
      view.setUint8(at + 2, jt)
      view.setUint8(at + 3, jf)
      view.setUint32(at + 4, k, true)
    }
    return bytes
  }
}

/** Where a way from one test enters the other: what the accumulator holds is not loaded again. */
function entry(from: Test, to: Node): Entry {
  if (to.kind !== 'test' || from.word !== to.word) return 'load'
  if (from.mask === to.mask) return 'compare'
  return from.mask === WHOLE_WORD ? 'mask' : 'load'
}

function placeOf(node: Node, entered: Entry = 'load'): number {
  return node.id * 4 + (node.kind === 'test' ? ENTRY[entered] : 0)
}
