/** The registers of a filter while it is run for all calls at once (src/filter/symbolic.ts). */

import { type Content, calculate, constant, wholeWord } from './content.ts'
import { Undecidable, WORD_NUMBER, WORDS } from './diagram.ts'
import {
  ALU,
  DATA_BYTES,
  LD_ABS,
  LD_IMM,
  LD_LEN,
  LD_MEM,
  LDX_IMM,
  LDX_LEN,
  LDX_MEM,
  MEMORY_WORDS,
  ST,
  STX,
  TAX,
  TXA,
  X,
} from './program.ts'

export interface Registers {
  readonly a: Content
  readonly x: Content
  readonly memory: readonly Content[]
}

const ZERO = constant(0)
/** As the kernel starts a filter. */
export const START: Registers = { a: ZERO, x: ZERO, memory: Array<Content>(MEMORY_WORDS).fill(ZERO) }
const WHOLE = Array.from({ length: WORDS }, (_, word) => wholeWord(word))
/** The call's number, as it is loaded. */
export const NUMBER = WHOLE[WORD_NUMBER] as Content

/** What an instruction that neither jumps nor returns makes of the registers. `at` is its index, for messages. Throws Undecidable. */
export function advance(registers: Registers, code: number, k: number, at: number): Registers {
  const { a, x, memory } = registers
  switch (code) {
    case LD_ABS:
      return { a: WHOLE[k / 4] as Content, x, memory }
    case LD_IMM:
      return { a: constant(k), x, memory }
    case LD_LEN:
      return { a: constant(DATA_BYTES), x, memory }
    case LD_MEM:
      return { a: memory[k] as Content, x, memory }
    case LDX_IMM:
      return { a, x: constant(k), memory }
    case LDX_LEN:
      return { a, x: constant(DATA_BYTES), memory }
    case LDX_MEM:
      return { a, x: memory[k] as Content, memory }
    case ST:
      return { a, x, memory: memory.with(k, a) }
    case STX:
      return { a, x, memory: memory.with(k, x) }
    case TAX:
      return { a, x: a, memory }
    case TXA:
      return { a: x, x, memory }
  }
  const byIndex = (code & 0x07) === ALU && (code & X) !== 0
  const result = byIndex && x.mask !== 0 ? undefined : calculate(code & 0xf0, a, byIndex ? x.flip : k)
  if (result === undefined)
    throw new Undecidable(
      `instruction ${at} computes with a call's values what is not followed (opcode 0x${code.toString(16)})`,
    )
  return { a: result, x, memory }
}

/** Equal texts: equal registers. */
export function registersKey({ a, x, memory }: Registers): string {
  const rest = x === ZERO && memory === START.memory ? '' : [x, ...memory].map(contentKey).join()
  return `${contentKey(a)};${rest}`
}

/** Those of a place where the accumulator is loaded anew. */
export function withoutAccumulator(registers: Registers): Registers {
  return registers.x === ZERO && registers.memory === START.memory ? START : { ...registers, a: ZERO }
}

export function sameRegisters(one: Registers, other: Registers): boolean {
  return (
    one === other ||
    (one.a === other.a && one.x === other.x && one.memory === other.memory) ||
    registersKey(one) === registersKey(other)
  )
}

export function sameContent(one: Content, other: Content): boolean {
  return (
    one === other ||
    (one.word === other.word && one.shift === other.shift && one.mask === other.mask && one.flip === other.flip)
  )
}

function contentKey({ word, shift, mask, flip }: Content): string {
  return `${word} ${shift} ${mask} ${flip}`
}

/** What a comparison compares with. */
export function comparand({ x }: Registers, opcode: number, k: number, at: number): number {
  if ((opcode & X) === 0) return k
  if (x.mask !== 0) throw new Undecidable(`instruction ${at} compares with what is no constant`)
  return x.flip
}

/** What BPF_RET | BPF_A returns. */
export function returned({ a }: Registers, at: number): number {
  if (a.mask !== 0) throw new Undecidable(`instruction ${at} returns what is no constant`)
  return a.flip
}
