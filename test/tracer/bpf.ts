// Raw seccomp programs for the tests, assembled by hand so that nothing of the product is their oracle.
// Codes from <linux/bpf_common.h>, actions from <linux/seccomp.h>, architectures from <linux/audit.h>.

export const ALLOW = 0x7fff0000
export const KILL_PROCESS = 0x80000000
export const errno = (n: number): number => 0x00050000 | n

export const X86_64 = 0xc000003e
export const I386 = 0x40000003

const LD_ABS = 0x20
const JEQ = 0x15
const RET = 0x06
const OFFSET_NR = 0
const OFFSET_ARCH = 4

type Instruction = [code: number, jt: number, jf: number, k: number]

const encode = (instructions: Instruction[]): Buffer => {
  const program = Buffer.alloc(instructions.length * 8)
  instructions.forEach(([code, jt, jf, k], i) => {
    program.writeUInt16LE(code, i * 8)
    program.writeUInt8(jt, i * 8 + 2)
    program.writeUInt8(jf, i * 8 + 3)
    program.writeUInt32LE(k >>> 0, i * 8 + 4)
  })
  return program
}

/** One section for each architecture: the listed numbers get `listed`, everything else `rest`. */
export const sections = (archs: Record<number, number[]>, rest: number, listed: number = ALLOW): Buffer => {
  const program: Instruction[] = [[LD_ABS, 0, 0, OFFSET_ARCH]]
  for (const [arch, numbers] of Object.entries(archs)) {
    const body: Instruction[] = [[LD_ABS, 0, 0, OFFSET_NR]]
    for (const nr of numbers) body.push([JEQ, 0, 1, nr], [RET, 0, 0, listed])
    body.push([RET, 0, 0, rest])
    // conditional jumps reach 255 instructions only, so skip with an unconditional one
    program.push([JEQ, 1, 0, Number(arch)], [0x05, 0, 0, body.length], ...body)
  }
  program.push([RET, 0, 0, rest])
  return encode(program)
}

export const allowOnly = (numbers: number[], rest: number = KILL_PROCESS): Buffer =>
  sections({ [X86_64]: numbers }, rest)
export const denyOnly = (numbers: number[], action: number): Buffer => sections({ [X86_64]: numbers }, ALLOW, action)

/** Loads and never returns: the kernel refuses it. */
export const invalid = (): Buffer => encode([[LD_ABS, 0, 0, OFFSET_ARCH]])
