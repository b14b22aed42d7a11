/**
 * A filter as the kernel reads it: struct sock_filter[] (linux/filter.h), and what the kernel asks of one before it takes it
 * (bpf_check_classic of net/core/filter.c, seccomp_check_filter of kernel/seccomp.c). Knows nothing of how filters are made.
 */

/** The instructions, by column. */
export interface Program {
  readonly length: number
  readonly code: Uint16Array
  /** Distances from the next instruction, where a comparison holds and where not. */
  readonly jumpTrue: Uint8Array
  readonly jumpFalse: Uint8Array
  readonly k: Uint32Array
}

/** sizeof(struct sock_filter): code (2 bytes), jt, jf, k (4 bytes). */
export const INSTRUCTION_BYTES = 8
/** BPF_MAXINSNS of linux/bpf_common.h. */
export const MAX_INSTRUCTIONS = 4096
/** BPF_MEMWORDS of linux/filter.h. */
export const MEMORY_WORDS = 16
/** sizeof(struct seccomp_data) of linux/seccomp.h: nr, arch, instruction_pointer (8 bytes), args[6] (8 bytes each, the low word first). */
export const DATA_BYTES = 64

// Opcodes: class, size, mode, operation and source of linux/bpf_common.h, put together.
export const LD_ABS = 0x20
export const LD_IMM = 0x00
export const LD_MEM = 0x60
export const LD_LEN = 0x80
export const LDX_IMM = 0x01
export const LDX_MEM = 0x61
export const LDX_LEN = 0x81
export const ST = 0x02
export const STX = 0x03
export const JA = 0x05
export const RET_K = 0x06
export const RET_A = 0x16
export const TAX = 0x07
export const TXA = 0x87
/** The classes BPF_ALU and BPF_JMP, and BPF_X: the operand is the index register, not k. */
export const ALU = 0x04
export const JMP = 0x05
export const X = 0x08

/** BPF_OP of an instruction of class BPF_ALU. */
export const ALU_OPERATIONS = {
  add: 0x00,
  sub: 0x10,
  mul: 0x20,
  div: 0x30,
  or: 0x40,
  and: 0x50,
  lsh: 0x60,
  rsh: 0x70,
  neg: 0x80,
  xor: 0xa0,
} as const
/** BPF_OP of an instruction of class BPF_JMP that compares. */
export const COMPARISONS = { jeq: 0x10, jgt: 0x20, jge: 0x30, jset: 0x40 } as const

const SIMPLE = new Set([LD_ABS, LD_IMM, LD_MEM, LD_LEN, LDX_IMM, LDX_MEM, LDX_LEN, ST, STX, JA, RET_K, RET_A, TAX, TXA])
const ALU_CODES = new Set<number>(Object.values(ALU_OPERATIONS))
const JUMP_CODES = new Set<number>(Object.values(COMPARISONS))

export function isComparison(code: number): boolean {
  return (code & 0x07) === JMP && code !== JA
}

/** `bytes`: struct sock_filter[], little-endian. Throws where the length is no multiple of an instruction's. */
export function decodeProgram(bytes: Uint8Array): Program {
  const length = bytes.byteLength / INSTRUCTION_BYTES
  if (!Number.isInteger(length))
    throw new Error(`${bytes.byteLength} bytes are no filter: an instruction has ${INSTRUCTION_BYTES}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const code = new Uint16Array(length)
  const jumpTrue = new Uint8Array(length)
  const jumpFalse = new Uint8Array(length)
  const k = new Uint32Array(length)
  for (let index = 0; index < length; index++) {
    const at = index * INSTRUCTION_BYTES
    code[index] = view.getUint16(at, true)
    jumpTrue[index] = view.getUint8(at + 2)
    jumpFalse[index] = view.getUint8(at + 3)
    k[index] = view.getUint32(at + 4, true)
  }
  return { length, code, jumpTrue, jumpFalse, k }
}

/** Why the kernel would not take a program (EINVAL of seccomp(2)), or undefined. */
export function programProblem(program: Program): string | undefined {
  const { length } = program
  if (length === 0 || length > MAX_INSTRUCTIONS)
    return `it has ${length} instructions; the kernel takes 1 to ${MAX_INSTRUCTIONS}`
  for (let at = 0; at < length; at++) {
    const problem = instructionProblem(program, at)
    if (problem !== undefined) return `instruction ${at} ${problem}`
  }
  const last = program.code[length - 1] as number
  if (last !== RET_K && last !== RET_A) return 'it does not end with a return'
  return uninitialised(program)
}

function instructionProblem({ length, code, jumpTrue, jumpFalse, k }: Program, at: number): string | undefined {
  const opcode = code[at] as number
  const operand = k[at] as number
  const operation = opcode & 0xf0
  const alu = (opcode & ~0xf8) === ALU && ALU_CODES.has(operation)
  const jump = (opcode & ~0xf8) === JMP && JUMP_CODES.has(operation)
  // BPF_NEG has no operand, so BPF_X makes no sense with it.
  if (!SIMPLE.has(opcode) && !jump && !(alu && opcode !== (ALU | ALU_OPERATIONS.neg | X)))
    return `has the opcode 0x${opcode.toString(16)}, which no seccomp filter may have`
  if (opcode === LD_ABS && (operand >= DATA_BYTES || operand % 4 !== 0))
    return `loads from offset ${operand}: struct seccomp_data has ${DATA_BYTES} bytes, in words of 4`
  if ([LD_MEM, LDX_MEM, ST, STX].includes(opcode) && operand >= MEMORY_WORDS)
    return `uses memory word ${operand} of ${MEMORY_WORDS}`
  if (opcode === (ALU | ALU_OPERATIONS.div) && operand === 0) return 'divides by 0'
  if ([ALU | ALU_OPERATIONS.lsh, ALU | ALU_OPERATIONS.rsh].includes(opcode) && operand >= 32)
    return `shifts by ${operand} of 32 bits`
  const farthest = opcode === JA ? operand : jump ? Math.max(jumpTrue[at] as number, jumpFalse[at] as number) : 0
  if (farthest >= length - at - 1 && (jump || opcode === JA)) return 'jumps behind the end'
  return undefined
}

/** A load from memory that is not stored to on every way there (check_load_and_stores of net/core/filter.c). */
function uninitialised({ length, code, jumpTrue, jumpFalse, k }: Program): string | undefined {
  /** The words that are stored to before each instruction, as bits; what no way leads to keeps all. */
  const stored = new Uint16Array(length).fill(0xffff)
  let valid = 0
  for (let at = 0; at < length; at++) {
    valid &= stored[at] as number
    const opcode = code[at] as number
    const operand = k[at] as number
    const reach = (distance: number) => {
      const target = at + 1 + distance
      stored[target] = (stored[target] as number) & valid
    }
    if (opcode === ST || opcode === STX) valid |= 1 << operand
    else if ((opcode === LD_MEM || opcode === LDX_MEM) && (valid & (1 << operand)) === 0)
      return `instruction ${at} loads memory word ${operand}, which nothing has stored to`
    else if ((opcode & 0x07) === JMP) {
      if (opcode === JA) reach(operand)
      else {
        reach(jumpTrue[at] as number)
        reach(jumpFalse[at] as number)
      }
      valid = 0xffff
    }
  }
  return undefined
}
