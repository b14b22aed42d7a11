/** What the kernel lets one process have in filters. */
import { INSTRUCTION } from './assemble.ts'

/** BPF_MAXINSNS of linux/bpf_common.h: the most instructions of one program. */
export const MAX_INSTRUCTIONS = 4096

/** MAX_INSNS_PER_PATH of kernel/seccomp.c: (1 << 18) / sizeof(struct sock_filter), counted after conversion to eBPF. */
export const KERNEL_BUDGET = 32_768

/** What each program but the newest counts besides its instructions (seccomp_attach_filter of kernel/seccomp.c). */
const PENALTY = 4

/** Left for filters that the runtime, or the program itself, puts in besides ours. Docker's default profile takes about 1,000. */
const RESERVE = 2048

export const BUDGET = KERNEL_BUDGET - RESERVE

/** FILTERS_MAX of tracer/filters/filters.h. */
export const MAX_PROGRAMS = 16

/** What programs that are stacked count against KERNEL_BUDGET. */
export function charged(programs: readonly Uint8Array[]): number {
  return programs.reduce((sum, program) => sum + convertedLength(program) + PENALTY, -PENALTY)
}

/** The instructions of a program after conversion (bpf_convert_filter of net/core/filter.c). */
function convertedLength(program: Uint8Array): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength)
  let length = 3 // clears A and X, and keeps the context
  for (let at = 0; at < program.length; at += INSTRUCTION) {
    length += converted(view.getUint8(at), view.getUint8(at + 2), view.getUint8(at + 3), view.getInt32(at + 4, true))
  }
  return length
}

function converted(code: number, jt: number, jf: number, k: number): number {
  const kind = code & 0x07
  if (kind === 0x06) return 2 // BPF_RET: a move and an exit
  if (kind !== 0x05 || code === 0x05) return 1 // neither BPF_JMP, or BPF_JA
  const constant = k < 0 ? 1 : 0 // an immediate is signed: one above 2^31 - 1 takes a register
  const invertible = (code & 0xf0) !== 0x40 // BPF_JSET has no opposite
  return constant + (jf === 0 || (jt === 0 && invertible) ? 1 : 2)
}
