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

/** BPF_OP of an instruction of class BPF_ALU. BPF_MOD is none that seccomp takes. */
export const ADD = 0x00
export const SUB = 0x10
export const MUL = 0x20
export const DIV = 0x30
export const OR = 0x40
export const AND = 0x50
export const LSH = 0x60
export const RSH = 0x70
export const NEG = 0x80
export const MOD = 0x90
export const XOR = 0xa0
/** Comparisons with k. */
export const JEQ = 0x15
export const JGT = 0x25
export const JGE = 0x35
export const JSET = 0x45

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
    const first = view.getUint32(index * INSTRUCTION_BYTES, true)
    code[index] = first & 0xffff
    jumpTrue[index] = (first >>> 16) & 0xff
    jumpFalse[index] = first >>> 24
    k[index] = view.getUint32(index * INSTRUCTION_BYTES + 4, true)
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
  switch (opcode) {
    case LD_ABS:
      if (operand < DATA_BYTES && operand % 4 === 0) return undefined
      return `loads from offset ${operand}: struct seccomp_data has ${DATA_BYTES} bytes, in words of 4`
    case JEQ:
    case JGT:
    case JGE:
    case JSET:
    case JEQ | X:
    case JGT | X:
    case JGE | X:
    case JSET | X:
      return Math.max(jumpTrue[at] as number, jumpFalse[at] as number) < length - at - 1 ? undefined : BEHIND
    case JA:
      return operand < length - at - 1 ? undefined : BEHIND
    case LD_MEM:
    case LDX_MEM:
    case ST:
    case STX:
      return operand < MEMORY_WORDS ? undefined : `uses memory word ${operand} of ${MEMORY_WORDS}`
    case ALU | DIV:
      return operand === 0 ? 'divides by 0' : undefined
    case ALU | LSH:
    case ALU | RSH:
      return operand < 32 ? undefined : `shifts by ${operand} of 32 bits`
    case RET_K:
    case RET_A:
    case LD_IMM:
    case LD_LEN:
    case LDX_IMM:
    case LDX_LEN:
    case TAX:
    case TXA:
      return undefined
  }
  // BPF_ALU with the other operations, and all with the index register, but BPF_NEG, which has no operand.
  const known = (opcode & 0xff07) === ALU && opcode >> 4 <= XOR >> 4 && (opcode & 0xf0) !== MOD
  if (known && opcode !== (ALU | NEG | X)) return undefined
  return `has the opcode 0x${opcode.toString(16)}, which no seccomp filter may have`
}

const BEHIND = 'jumps behind the end'

/** A load from memory that is not stored to on every way there (check_load_and_stores of net/core/filter.c). */
function uninitialised({ length, code, jumpTrue, jumpFalse, k }: Program): string | undefined {
  if (!code.includes(LD_MEM) && !code.includes(LDX_MEM)) return undefined
  /** The words that are stored to before each instruction, as bits; what no way leads to keeps all. */
  const stored = new Uint16Array(length).fill(0xffff)
  let valid = 0
  for (let at = 0; at < length; at++) {
    valid &= stored[at] as number
    const opcode = code[at] as number
    const operand = k[at] as number
    if (opcode === ST || opcode === STX) valid |= 1 << operand
    else if ((opcode === LD_MEM || opcode === LDX_MEM) && (valid & (1 << operand)) === 0)
      return `instruction ${at} loads memory word ${operand}, which nothing has stored to`
    else if ((opcode & 0x07) === JMP) {
      const distances = opcode === JA ? [operand] : [jumpTrue[at] as number, jumpFalse[at] as number]
      for (const distance of distances) stored[at + 1 + distance] = (stored[at + 1 + distance] as number) & valid
      valid = 0xffff
    }
  }
  return undefined
}
