/** Filters for tests: made of instructions, at random, and changed. */
import type { Random } from './random.ts'

export type Instruction = [code: number, jumpTrue: number, jumpFalse: number, k: number]

/** struct sock_filter[], little-endian. */
export function encodeProgram(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [index, [code, jumpTrue, jumpFalse, k]] of instructions.entries()) {
    view.setUint16(index * 8, code, true)
    view.setUint8(index * 8 + 2, jumpTrue)
    view.setUint8(index * 8 + 3, jumpFalse)
    view.setUint32(index * 8 + 4, k, true)
  }
  return bytes
}

export function decodeInstructions(bytes: Uint8Array): Instruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / 8 }, (_, index) => [
    view.getUint16(index * 8, true),
    view.getUint8(index * 8 + 2),
    view.getUint8(index * 8 + 3),
    view.getUint32(index * 8 + 4, true),
  ])
}

/** AUDIT_ARCH_X86_64 and AUDIT_ARCH_I386 of linux/audit.h. */
export const X86_64 = 0xc000003e
export const I386 = 0x40000003

/** SECCOMP_RET_* with data (linux/seccomp.h): two of a kind, so that it can be told whose data counts. */
const RETURNS = [
  0x7fff0000, 0x7fff0007, 0x7ffc0000, 0x7ff00003, 0x7fc00000, 0x00050000, 0x00050001, 0x00050002, 0x0005000d,
  0x00051fff,
]
const KILLS = [0x80000000, 0x00000000, 0x00030005]

const COMPARISONS = [0x15, 0x15, 0x15, 0x25, 0x35, 0x45]
/** AND, OR, XOR, LSH, RSH: what the exact procedure follows; then ADD, SUB, MUL, DIV, NEG, which it follows for constants only. */
const EXACT = [0x54, 0x54, 0x44, 0xa4, 0x64, 0x74]
const OTHERS = [0x04, 0x14, 0x24, 0x34, 0x84]

export interface ProgramOptions {
  readonly length: number
  /** Every instruction that the kernel takes; else those that the exact procedure follows. */
  readonly everything?: boolean
  /** Looks at the instruction pointer too. */
  readonly pointer?: boolean
  /** Now and then an action that kills. */
  readonly kills?: boolean
}

/** A filter that the kernel takes, with few different constants, so that calls hit them. */
export function randomProgram(random: Random, constants: readonly number[], options: ProgramOptions): Instruction[] {
  const { length, everything = false, kills = false, pointer = false } = options
  const words = [0, 0, 1, 4, 4, 5, 6, 7, 8, 14, 15, ...(pointer ? [2, 3] : [])]
  const value = () => random.pick(constants)
  const returns = (): Instruction => [0x06, 0, 0, random.pick(kills && random.chance(0.03) ? KILLS : RETURNS)]
  const program: Instruction[] = []
  const stored: number[] = []
  for (let at = 0; at < length; at++) {
    const rest = Math.min(length - at - 1, 6)
    const kind = random.below(100)
    const operation = random.pick(everything && random.chance(0.3) ? OTHERS : EXACT)
    if (kind < 30) program.push([0x20, 0, 0, 4 * random.pick(words)])
    else if (kind < 72)
      program.push([random.pick(COMPARISONS), random.below(rest + 1), random.below(rest + 1), value()])
    else if (kind < 80) program.push([operation, 0, 0, operandFor(random, operation, value)])
    else if (kind < 82) program.push([0x05, 0, 0, random.below(rest + 1)])
    else if (kind < 88) program.push(returns())
    else if (kind < 90) program.push([random.pick([0x00, 0x01]), 0, 0, value()])
    else if (kind < 91) program.push([random.pick([0x80, 0x81]), 0, 0, 0])
    else if (kind < 93 && everything) program.push([operation === 0x84 ? 0x84 : operation | 0x08, 0, 0, 0])
    else if (kind < 94 && everything)
      program.push([random.pick(COMPARISONS) | 0x08, random.below(rest + 1), random.below(rest + 1), 0])
    else if (kind < 96) program.push([random.pick([0x07, 0x87]), 0, 0, 0])
    else if (stored.length > 0 && random.chance(0.5))
      program.push([random.pick([0x60, 0x61]), 0, 0, random.pick(stored)])
    // Only what is stored to before the first jump is surely stored to on every way.
    else if (!program.some(([code]) => (code & 0x07) === 0x05)) {
      stored.push(random.below(16))
      program.push([random.pick([0x02, 0x03]), 0, 0, stored.at(-1) as number])
    } else program.push([0x20, 0, 0, 16])
  }
  program.push(returns())
  return program
}

function operandFor(random: Random, operation: number, value: () => number): number {
  if (operation === 0x64 || operation === 0x74) return random.below(32)
  return operation === 0x34 ? 1 + random.below(9) : value()
}

/** Constants that comparisons of small programs share. */
export function someConstants(random: Random): number[] {
  const near = [0, 1, 2, 3, 39, 0x3fff_ffff, 0x4000_0000, X86_64, I386, 0xffff_ffff, 0x8000_0000]
  const far = Array.from({ length: 4 }, () => Number(random.bigint(32)))
  return [...near, ...far]
}

/** The constants of programs with their neighbours, as words of calls. */
export function valuesAround(programs: readonly (readonly Instruction[])[]): number[] {
  const all = programs.flatMap((program) =>
    program.flatMap(([code, , , k]) => ((code & 0x07) === 0x06 ? [] : [k - 1, k, k + 1, ~k])),
  )
  return [...new Set([0, 0xffff_ffff, ...all.map((value) => value >>> 0)])]
}

/** One instruction of a filter changed, at random; what was done, in words. */
export function mutate(random: Random, program: readonly Instruction[]): { mutant: Instruction[]; what: string } {
  const at = random.below(program.length)
  const [code, jumpTrue, jumpFalse, k] = program[at] as Instruction
  const changed = changes(random, code, jumpTrue, jumpFalse, k)
  const mutant = program.with(at, changed)
  return { mutant, what: `instruction ${at}: ${[code, jumpTrue, jumpFalse, k]} became ${changed}` }
}

function changes(random: Random, code: number, jumpTrue: number, jumpFalse: number, k: number): Instruction {
  const isJump = (code & 0x07) === 0x05
  for (;;) {
    switch (random.below(7)) {
      case 0:
        return [code, jumpTrue, jumpFalse, (k + 1) >>> 0]
      case 1:
        return [code, jumpTrue, jumpFalse, (k - 1) >>> 0]
      case 2:
        if (isJump && jumpTrue !== jumpFalse) return [code, jumpFalse, jumpTrue, k]
        break
      case 3:
        return [
          random.pick([0x15, 0x25, 0x35, 0x45, 0x54, 0x20, 0x06].filter((other) => other !== code)),
          jumpTrue,
          jumpFalse,
          k,
        ]
      case 4:
        if (code === 0x06) return [code, 0, 0, random.pick([...RETURNS, ...KILLS].filter((other) => other !== k))]
        break
      case 5:
        return [code, jumpTrue, jumpFalse, (k ^ (1 << random.below(32))) >>> 0]
      default:
        return random.pick<Instruction>([
          [0x06, 0, 0, 0x7fff_0000],
          [0x06, 0, 0, 0x0005_0001],
          [0x05, 0, 0, 0],
          [0x05, 0, 0, 1],
          [0x20, 0, 0, 0],
          [0x20, 0, 0, 4 * random.below(16)],
        ])
    }
  }
}
