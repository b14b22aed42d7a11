// What the kernel would make of a filter: a tiny interpreter of the classic BPF that libseccomp emits, little endian.

/** The call that is judged; see struct seccomp_data of linux/seccomp.h. */
export type Call = { nr: number; arch: number; args?: bigint[] }

/** opcodes of linux/bpf_common.h and linux/filter.h */
const op = { loadAbsolute: 0x20, and: 0x54, jump: 0x05, equal: 0x15, greater: 0x25, greaterEqual: 0x35, return: 0x06 }

/** struct seccomp_data: int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]. */
const encode = ({ nr, arch, args = [] }: Call): DataView => {
  const data = new DataView(new ArrayBuffer(64))
  data.setInt32(0, nr, true)
  data.setUint32(4, arch, true)
  args.forEach((value, index) => {
    data.setBigUint64(16 + 8 * index, value, true)
  })
  return data
}

/** The program's answer: a SECCOMP_RET_* value. */
export const simulate = (program: Uint8Array, call: Call): number => {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength)
  const data = encode(call)
  let accumulator = 0
  for (let at = 0; at < program.byteLength; at += 8) {
    const k = code.getUint32(at + 4, true)
    const branch = (taken: boolean) => {
      at += 8 * code.getUint8(taken ? at + 2 : at + 3)
    }
    switch (code.getUint16(at, true)) {
      case op.loadAbsolute:
        accumulator = data.getUint32(k, true)
        break
      case op.and:
        accumulator = (accumulator & k) >>> 0
        break
      case op.jump:
        at += 8 * k
        break
      case op.equal:
        branch(accumulator === k)
        break
      case op.greater:
        branch(accumulator > k)
        break
      case op.greaterEqual:
        branch(accumulator >= k)
        break
      case op.return:
        return k
      default:
        throw new Error(`instruction ${at / 8} is none that libseccomp emits`)
    }
  }
  throw new Error('the program ends without an answer')
}
