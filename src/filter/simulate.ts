/**
 * Runs a seccomp filter as the kernel does (classic BPF over struct seccomp_data; kernel/seccomp.c, linux/filter.h). Knows nothing of
 * how filters are made: it is the compiler's independent judge.
 */
import { RET_ALLOW } from './actions.ts'
import {
  DATA_BYTES,
  DIV,
  decodeProgram,
  LD_ABS,
  LD_IMM,
  LD_LEN,
  LD_MEM,
  LDX_IMM,
  LDX_LEN,
  LDX_MEM,
  MEMORY_WORDS,
  type Program,
  TAX,
  TXA,
} from './program.ts'
import { mostRestrictive } from './returns.ts'

/** A call as a filter sees it: struct seccomp_data of linux/seccomp.h. */
export interface SyscallData {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly arch: number
  readonly number: number
  /** Up to six; missing ones are 0. */
  readonly args: readonly bigint[]
  /** seccomp_data.instruction_pointer; 0 where it is missing. */
  readonly pointer?: bigint
}

/** sizeof(struct seccomp_data) in 32-bit words: nr, arch, instruction_pointer (2), args[6] (2 each, the low one first). */
const DATA_WORDS = DATA_BYTES / 4

/** One or several filters, as seccomp(2) has them installed one after the other. */
export class Simulator {
  readonly #programs: readonly Program[]
  readonly #data = new Uint32Array(DATA_WORDS)
  readonly #memory = new Uint32Array(MEMORY_WORDS)

  /** `programs`: struct sock_filter[], little-endian, one or several in the order in which they are installed. */
  constructor(programs: Uint8Array | readonly Uint8Array[]) {
    this.#programs = (programs instanceof Uint8Array ? [programs] : programs).map(decodeProgram)
  }

  /** The 32-bit value that the kernel acts on (SECCOMP_RET_* | data). Throws on a program that the kernel would refuse. */
  run({ arch, number, args, pointer = 0n }: SyscallData): number {
    const data = this.#data.fill(0)
    data[0] = number
    data[1] = arch
    for (let index = 0; index < args.length; index++) {
      const argument = args[index] as bigint
      if (argument === 0n) continue
      data[4 + 2 * index] = Number(argument & 0xffff_ffffn)
      data[5 + 2 * index] = Number(argument >> 32n)
    }
    if (pointer !== 0n) {
      data[2] = Number(pointer & 0xffff_ffffn)
      data[3] = Number(pointer >> 32n)
    }
    let result = RET_ALLOW
    // The kernel begins with the filter that was installed last.
    for (let index = this.#programs.length - 1; index >= 0; index--) {
      const found = this.#execute(this.#programs[index] as Program, data, this.#memory.fill(0))
      result = mostRestrictive(result, found)
    }
    return result
  }

  #execute({ code: codes, k: ks, jumpTrue, jumpFalse }: Program, data: Uint32Array, memory: Uint32Array): number {
    let a = 0
    let x = 0
    for (let at = 0; at < codes.length; at++) {
      const code = codes[at] as number
      const k = ks[at] as number
      // BPF_JMP | BPF_JEQ | BPF_K, of which filters mostly consist.
      if (code === 0x15) {
        at += (a === k ? jumpTrue[at] : jumpFalse[at]) as number
        continue
      }
      const operand = (code & 0x08) === 0 ? k : x // BPF_SRC: BPF_K or BPF_X
      switch (
        code & 0x07 // BPF_CLASS
      ) {
        case 0x00: // BPF_LD: W|ABS (k is an offset in bytes, of a word), IMM, MEM, LEN
          if (code === LD_ABS && k % 4 === 0 && k < DATA_BYTES) a = data[k / 4] as number
          else if (code === LD_IMM) a = k
          else if (code === LD_MEM && k < MEMORY_WORDS) a = memory[k] as number
          else if (code === LD_LEN) a = DATA_BYTES
          else throw unknown(code, k)
          break
        case 0x01: // BPF_LDX: IMM, MEM, LEN
          if (code === LDX_IMM) x = k
          else if (code === LDX_MEM && k < MEMORY_WORDS) x = memory[k] as number
          else if (code === LDX_LEN) x = DATA_BYTES
          else throw unknown(code, k)
          break
        case 0x02: // BPF_ST
          memory[k] = a
          break
        case 0x03: // BPF_STX
          memory[k] = x
          break
        case 0x04: // BPF_ALU; a division by 0 ends a filter with 0
          if ((code & 0xf0) === DIV && operand === 0) return 0
          a = calculate(code, a, operand)
          break
        case 0x05: // BPF_JMP: distances in instructions, from the next one
          if ((code & 0xf0) === 0) at += k
          else at += (compares(code, a, operand) ? jumpTrue[at] : jumpFalse[at]) as number
          break
        case 0x06: // BPF_RET: K or A
          return (code & 0x18) === 0x10 ? a : k
        default: // BPF_MISC: TAX, TXA
          if (code === TAX) x = a
          else if (code === TXA) a = x
          else throw unknown(code, k)
      }
    }
    throw new Error('the filter ends without a return')
  }
}

function calculate(code: number, a: number, operand: number): number {
  switch (
    code & 0xf0 // BPF_OP
  ) {
    case 0x00: // BPF_ADD
      return (a + operand) >>> 0
    case 0x10: // BPF_SUB
      return (a - operand) >>> 0
    case 0x20: // BPF_MUL
      return Math.imul(a, operand) >>> 0
    case 0x30: // BPF_DIV
      return Math.floor(a / operand)
    case 0x40: // BPF_OR
      return (a | operand) >>> 0
    case 0x50: // BPF_AND
      return (a & operand) >>> 0
    case 0x60: // BPF_LSH
      return (a << operand) >>> 0
    case 0x70: // BPF_RSH
      return a >>> operand
    case 0x80: // BPF_NEG
      return -a >>> 0
    case 0xa0: // BPF_XOR
      return (a ^ operand) >>> 0
    default:
      throw unknown(code, operand)
  }
}

function compares(code: number, a: number, operand: number): boolean {
  switch (
    code & 0xf0 // BPF_OP
  ) {
    case 0x10: // BPF_JEQ
      return a === operand
    case 0x20: // BPF_JGT
      return a > operand
    case 0x30: // BPF_JGE
      return a >= operand
    case 0x40: // BPF_JSET
      return (a & operand) !== 0
    default:
      throw unknown(code, operand)
  }
}

function unknown(code: number, k: number): Error {
  return new Error(`instruction 0x${code.toString(16)} with k = ${k} is not one that a seccomp filter may have`)
}
