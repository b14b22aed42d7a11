/**
 * Runs a seccomp filter as the kernel does (classic BPF over struct seccomp_data; kernel/seccomp.c, linux/filter.h). Knows nothing of
 * how filters are made: it is the compiler's independent judge.
 */

/** A call as a filter sees it: struct seccomp_data of linux/seccomp.h. */
export interface SyscallData {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly arch: number
  readonly number: number
  /** Up to six; missing ones are 0. */
  readonly args: readonly bigint[]
}

/** sizeof(struct sock_filter). */
const INSTRUCTION = 8
/** sizeof(struct seccomp_data) in 32-bit words: nr, arch, instruction_pointer (2), args[6] (2 each, the low one first). */
const DATA_WORDS = 16
/** offsetof(struct seccomp_data, args). */
const ARGUMENTS = 16
/** What may be done with a number: JA, JEQ, JGT and JGE with a constant, and RET of a constant (which ends the call). */
const COMPARISONS = new Set([0x05, 0x15, 0x25, 0x35, 0x06])
/** BPF_MEMWORDS of linux/filter.h. */
const MEMORY_WORDS = 16

export class Simulator {
  readonly #code: Uint16Array
  readonly #jumpTrue: Uint8Array
  readonly #jumpFalse: Uint8Array
  readonly #k: Uint32Array
  readonly #data = new Uint32Array(DATA_WORDS)
  readonly #memory = new Uint32Array(MEMORY_WORDS)

  /** `program`: struct sock_filter[], little-endian. */
  constructor(program: Uint8Array) {
    const view = new DataView(program.buffer, program.byteOffset, program.byteLength)
    const length = Math.floor(program.byteLength / INSTRUCTION)
    this.#code = new Uint16Array(length)
    this.#jumpTrue = new Uint8Array(length)
    this.#jumpFalse = new Uint8Array(length)
    this.#k = new Uint32Array(length)
    for (let index = 0; index < length; index++) {
      this.#code[index] = view.getUint16(index * INSTRUCTION, true)
      this.#jumpTrue[index] = view.getUint8(index * INSTRUCTION + 2)
      this.#jumpFalse[index] = view.getUint8(index * INSTRUCTION + 3)
      this.#k[index] = view.getUint32(index * INSTRUCTION + 4, true)
    }
  }

  /**
   * Whether a call's number and architecture are only ever compared with constants: no arithmetic is done with them, and they are
   * kept nowhere. One pass is enough, as a filter only jumps forward.
   */
  onlyComparesNumbers(): boolean {
    /** Whether the accumulator may hold the number or the architecture before each instruction. */
    const held = new Uint8Array(this.#code.length + 256)
    for (const [at, code] of this.#code.entries()) {
      const k = this.#k[at] as number
      const kind = code & 0x07
      const jump = kind === 0x05
      if (held[at] && !COMPARISONS.has(code) && kind !== 0x00) return false
      if (kind === 0x06) continue // BPF_RET
      const after = kind === 0x00 ? Number(code === 0x20 && k < ARGUMENTS) : (held[at] as number)
      const targets = !jump ? [0] : code === 0x05 ? [k] : [this.#jumpTrue[at] as number, this.#jumpFalse[at] as number]
      for (const distance of targets) held[at + 1 + distance] = (held[at + 1 + distance] ?? 0) | after
    }
    return true
  }

  /** The constants that the filter compares with, of whatever part of a call. */
  constants(): number[] {
    return [...this.#k].filter((_, index) => ((this.#code[index] as number) & 0x07) === 0x05) // BPF_JMP
  }

  /** The 32-bit value that the filter returns for a call (SECCOMP_RET_* | data). Throws on a program that the kernel would refuse. */
  run({ arch, number, args }: SyscallData): number {
    const data = this.#data.fill(0)
    data[0] = number
    data[1] = arch
    for (let index = 0; index < args.length; index++) {
      const argument = args[index] as bigint
      if (argument === 0n) continue
      data[4 + 2 * index] = Number(argument & 0xffff_ffffn)
      data[5 + 2 * index] = Number(argument >> 32n)
    }
    return this.#execute(data, this.#memory.fill(0))
  }

  #execute(data: Uint32Array, memory: Uint32Array): number {
    const [codes, ks, jumpTrue, jumpFalse] = [this.#code, this.#k, this.#jumpTrue, this.#jumpFalse]
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
        case 0x00: // BPF_LD: W|ABS (k is an offset in bytes, of a word), IMM, MEM
          if (code === 0x20 && k % 4 === 0 && k < DATA_WORDS * 4) a = data[k / 4] as number
          else if (code === 0x00) a = k
          else if (code === 0x60) a = memory[k] as number
          else throw unknown(code, k)
          break
        case 0x01: // BPF_LDX: IMM, MEM
          if (code === 0x01) x = k
          else if (code === 0x61) x = memory[k] as number
          else throw unknown(code, k)
          break
        case 0x02: // BPF_ST
          memory[k] = a
          break
        case 0x03: // BPF_STX
          memory[k] = x
          break
        case 0x04: // BPF_ALU
          a = calculate(code, a, operand)
          break
        case 0x05: // BPF_JMP: distances in instructions, from the next one
          if ((code & 0xf0) === 0) at += k
          else at += (compares(code, a, operand) ? jumpTrue[at] : jumpFalse[at]) as number
          break
        case 0x06: // BPF_RET: K or A
          return (code & 0x18) === 0x10 ? a : k
        default: // BPF_MISC: TAX, TXA
          if (code === 0x07) x = a
          else if (code === 0x87) a = x
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
    case 0x30: // BPF_DIV: a division by zero ends a filter with 0 in the kernel; it lets no constant zero in
      return operand === 0 ? 0 : Math.floor(a / operand)
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
