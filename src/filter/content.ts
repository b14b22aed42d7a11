/**
 * What a register of a filter holds, as a function of the call: one word of struct seccomp_data that was shifted, masked and flipped by
 * constants, or a constant alone. That is exact for BPF_AND, OR, XOR, LSH and RSH with constants; sums and products of words are not
 * followed.
 */
import { type Diagram, FALSE, TRUE } from './diagram.ts'
import { ADD, AND, DIV, JEQ, JGE, JGT, JSET, LSH, MUL, NEG, OR, RSH, SUB, XOR } from './program.ts'

/** Bit i is (word's bit i - shift, where mask has bit i, else 0) xor flip's bit i. */
export interface Content {
  readonly word: number
  readonly shift: number
  /** 0: a constant, which is `flip`. */
  readonly mask: number
  readonly flip: number
}

export function constant(value: number): Content {
  return { word: 0, shift: 0, mask: 0, flip: value >>> 0 }
}

export function wholeWord(word: number): Content {
  return { word, shift: 0, mask: 0xffff_ffff, flip: 0 }
}

export function isWhole({ shift, mask, flip }: Content): boolean {
  return mask === 0xffff_ffff && shift === 0 && flip === 0
}

/** The result of an instruction of class BPF_ALU with a constant operand; undefined where it is not followed. */
export function calculate(operation: number, a: Content, operand: number): Content | undefined {
  const { word, shift, mask, flip } = a
  const content = (s: number, m: number, f: number): Content => ({ word, shift: s, mask: m >>> 0, flip: f >>> 0 })
  switch (operation) {
    case AND:
      return content(shift, mask & operand, flip & operand)
    case OR:
      return content(shift, mask & ~operand, flip | operand)
    case XOR:
      return content(shift, mask, flip ^ operand)
    case LSH: // the kernel takes the distance modulo 32, as JavaScript does
      return content(shift + (operand & 31), mask << operand, flip << operand)
    case RSH:
      return content(shift - (operand & 31), mask >>> operand, flip >>> operand)
  }
  if (mask !== 0) return undefined
  switch (operation) {
    case ADD:
      return constant(flip + operand)
    case SUB:
      return constant(flip - operand)
    case MUL:
      return constant(Math.imul(flip, operand))
    case DIV:
      return operand === 0 ? undefined : constant(Math.floor(flip / operand))
    case NEG:
      return constant(-flip)
  }
  return undefined
}

/** Whether a comparison of two constants holds. `operation`: JEQ, JGT, JGE or JSET. */
export function holds(operation: number, a: number, operand: number): boolean {
  if (operation === JEQ) return a === operand
  if (operation === JGT) return a > operand
  if (operation === JGE) return a >= operand
  return (a & operand) !== 0
}

/** The condition "the comparison holds", built from the lowest bit up. */
export function condition(diagram: Diagram, operation: number, a: Content, operand: number): number {
  const top = diagram.levelOfWord(a.word) + 31 + a.shift
  let node = operation === JGE || operation === JEQ ? TRUE : FALSE
  for (let bit = 0; bit < 32; bit++) {
    const wanted = (operand >>> bit) & 1
    let zero = node
    let one = node
    if (operation === JEQ) {
      if (wanted === 1) zero = FALSE
      else one = FALSE
    } else if (operation === JSET) {
      if (wanted === 1) one = TRUE
    } else if (wanted === 1) zero = FALSE
    else one = TRUE
    const flipped = (a.flip >>> bit) & 1
    if (((a.mask >>> bit) & 1) === 0) node = flipped === 1 ? one : zero
    else node = flipped === 1 ? diagram.node(top - bit, one, zero) : diagram.node(top - bit, zero, one)
  }
  return node
}
