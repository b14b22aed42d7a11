/** A filter as a listing for people: what is compared is named, and where jumps lead is said. */
import type { ArchitectureName } from '../policy/document.ts'
import { ARCHITECTURES, auditArch, numberSpaceEnd, numberSpaceStart } from './architectures.ts'
import { WORD_ARCH, WORD_NUMBER } from './diagram.ts'
import {
  ALU,
  JA,
  JEQ,
  JMP,
  LD_ABS,
  LD_IMM,
  LD_LEN,
  LD_MEM,
  LDX_IMM,
  LDX_LEN,
  LDX_MEM,
  type Program,
  RET_A,
  RET_K,
  ST,
  STX,
  TAX,
  TXA,
  X,
} from './program.ts'
import { returnName } from './returns.ts'

/** The name of a syscall number; undefined where it has none. */
export type NameOf = (architecture: ArchitectureName, number: number) => string | undefined

/** What is known before an instruction, whichever way led there. */
interface Known {
  /** The word of struct seccomp_data that the accumulator holds; undefined: something else, or not always the same. */
  readonly word: number | undefined
  readonly arch: number | undefined
}

const OPERATIONS: Readonly<Record<number, string>> = {
  0: 'add',
  16: 'sub',
  32: 'mul',
  48: 'div',
  64: 'or',
  80: 'and',
  96: 'lsh',
  112: 'rsh',
  128: 'neg',
  160: 'xor',
}
const JUMPS: Readonly<Record<number, string>> = { 16: 'jeq', 32: 'jgt', 48: 'jge', 64: 'jset' }

/** One line for each instruction. `program` must be one that the kernel takes. */
export function disassemble(program: Program, nameOf: NameOf): string[] {
  const known = flow(program)
  const width = String(program.length - 1).length
  return Array.from({ length: program.length }, (_, at) => {
    const text = instruction(program, at, known[at], nameOf)
    return `${String(at).padStart(width)}  ${text}`
  })
}

function instruction(program: Program, at: number, known: Known | undefined, nameOf: NameOf): string {
  const code = program.code[at] as number
  const k = program.k[at] as number
  switch (code) {
    case LD_ABS:
      return `ld    ${wordName(k / 4)}`
    case LD_IMM:
      return `ld    #${hex(k)}`
    case LDX_IMM:
      return `ldx   #${hex(k)}`
    case LD_MEM:
      return `ld    M[${k}]`
    case LDX_MEM:
      return `ldx   M[${k}]`
    case LD_LEN:
      return 'ld    len'
    case LDX_LEN:
      return 'ldx   len'
    case ST:
      return `st    M[${k}]`
    case STX:
      return `stx   M[${k}]`
    case TAX:
      return 'tax'
    case TXA:
      return 'txa'
    case RET_K:
      return `ret   ${returnName(k)}`
    case RET_A:
      return 'ret   A'
    case JA:
      return `ja    ${at + 1 + k}`
  }
  const operand = (code & X) === 0 ? hex(k) : 'X'
  if ((code & 0x07) === ALU) return `${(OPERATIONS[code & 0xf0] as string).padEnd(5)} ${operand}`
  const meaning = code === JEQ ? comment(k, known, nameOf) : ''
  const [yes, no] = [program.jumpTrue[at] as number, program.jumpFalse[at] as number]
  return `${(JUMPS[code & 0xf0] as string).padEnd(5)} ${operand}${meaning}  ? ${at + 1 + yes} : ${at + 1 + no}`
}

/** What a constant stands for: an architecture, or a call. */
function comment(k: number, known: Known | undefined, nameOf: NameOf): string {
  const own = (name: ArchitectureName) => k >= numberSpaceStart(name) && k < numberSpaceEnd(name)
  let text: string | undefined
  if (known?.word === WORD_ARCH) text = ARCHITECTURES.find((name) => auditArch(name) === k)
  else if (known?.word === WORD_NUMBER) {
    const architecture = ARCHITECTURES.find((name) => auditArch(name) === known.arch && own(name))
    text = architecture === undefined ? undefined : nameOf(architecture, k)
  }
  return text === undefined ? '' : ` (${text})`
}

/** One pass is enough, as a filter only jumps forward. */
function flow({ length, code, k, jumpTrue, jumpFalse }: Program): (Known | undefined)[] {
  const known: (Known | undefined)[] = Array(length)
  const reach = (at: number, next: Known) => {
    const before = known[at]
    known[at] = before === undefined ? next : { word: same(before.word, next.word), arch: same(before.arch, next.arch) }
  }
  known[0] = { word: undefined, arch: undefined }
  for (let at = 0; at < length; at++) {
    const here = known[at]
    if (here === undefined) continue
    const opcode = code[at] as number
    const operand = k[at] as number
    if (opcode === RET_K || opcode === RET_A) continue
    if (opcode === JA) reach(at + 1 + operand, here)
    else if ((opcode & 0x07) === JMP) {
      const equal = opcode === JEQ && here.word === WORD_ARCH ? { ...here, arch: operand } : here
      reach(at + 1 + (jumpTrue[at] as number), equal)
      reach(at + 1 + (jumpFalse[at] as number), here)
    } else if (opcode === LD_ABS) reach(at + 1, { ...here, word: operand / 4 })
    else reach(at + 1, [LDX_IMM, LDX_MEM, LDX_LEN, ST, STX, TAX].includes(opcode) ? here : { ...here, word: undefined })
  }
  return known
}

function same<T>(a: T | undefined, b: T | undefined): T | undefined {
  return a === b ? a : undefined
}

/** The members of struct seccomp_data (linux/seccomp.h). */
function wordName(word: number): string {
  if (word === WORD_NUMBER) return 'nr'
  if (word === WORD_ARCH) return 'arch'
  const half = word % 2 === 0 ? 'low' : 'high'
  return word < 4 ? `instruction_pointer.${half}` : `args[${Math.floor(word / 2) - 2}].${half}`
}

function hex(value: number): string {
  return value < 10_000 ? String(value) : `0x${value.toString(16)}`
}
