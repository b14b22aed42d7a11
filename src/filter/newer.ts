/**
 * The head of a filter: calls that are newer than the policy get ENOSYS, so that libc falls back to an older one, whatever a
 * violation gets. libseccomp has no rule for "every number above this one", so these instructions stand before its program.
 */
import { SandboxError } from '../errors.ts'
import { ENOSYS, RET_ERRNO } from './actions.ts'

export interface KnownNumbers {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly audit: number
  /** The highest number that is not newer. */
  readonly known: number
  /** Newer numbers that the policy names all the same. */
  readonly named: readonly number[]
  /** The first number that is not this ABI's any more: 0x40000000 (__X32_SYSCALL_BIT, asm/unistd.h) on x86-64. */
  readonly end: number
}

const LOAD = 0x20 // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_GREATER = 0x25 // BPF_JMP | BPF_JGT | BPF_K
const JUMP_GREATER_EQUAL = 0x35 // BPF_JMP | BPF_JGE | BPF_K
const RETURN = 0x06 // BPF_RET | BPF_K

/** The distances jt and jf of struct sock_filter (linux/filter.h) are 8 bits. */
const MAX_JUMP = 255

/** Offsets in struct seccomp_data (linux/seccomp.h). */
const NUMBER = 0
const ARCH = 4

/** The instructions, for each architecture; a call that is none of theirs, or not newer, goes on behind the last one. */
export function newerHead(architectures: readonly KnownNumbers[]): Uint8Array {
  const code: [code: number, jt: number, jf: number, k: number][] = []
  for (const { audit, known, named, end } of architectures) {
    // Jumps are relative to the next instruction; `rest` is how many of this architecture's come after the tests of its numbers.
    const rest = named.length + 1
    if (rest + 3 > MAX_JUMP)
      throw new SandboxError('FILTER_FAILED', `${named.length} calls have no name: learn again with a newer version`)
    code.push([LOAD, 0, 0, ARCH])
    code.push([JUMP_EQUAL, 0, rest + 3, audit])
    code.push([LOAD, 0, 0, NUMBER])
    code.push([JUMP_GREATER_EQUAL, rest + 1, 0, end])
    code.push([JUMP_GREATER, 0, rest, known])
    for (const [index, number] of named.entries()) code.push([JUMP_EQUAL, rest - index - 1, 0, number])
    code.push([RETURN, 0, 0, RET_ERRNO | ENOSYS])
  }
  const bytes = new Uint8Array(code.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [index, [opcode, jt, jf, k]] of code.entries()) {
    view.setUint16(index * 8, opcode, true)
    view.setUint8(index * 8 + 2, jt)
    view.setUint8(index * 8 + 3, jf)
    view.setUint32(index * 8 + 4, k, true)
  }
  return bytes
}
