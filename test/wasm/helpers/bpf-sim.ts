// libseccomp's tests/*.tests, read as its tests/regression reads them: which lines there are, and the cases of a line.
import { readdirSync, readFileSync } from 'node:fs'

/** One line of type bpf-sim, its words still as they stand. */
export type Line = { program: string; archs: string; syscall: string; args: string[]; result: string; where: string }
/** One line of type bpf-sim-fuzz: so many runs with random values. */
export type Fuzz = { program: string; runs: number; where: string }
/** One run of the simulator. An argument that is undefined is not given. */
export type Case = { arch: string; syscall: string; args: (string | undefined)[] }

// GLBL_ARCH_*_SUPPORT of tests/regression.
const littleEndian = 'x86 x86_64 x32 arm aarch64 loongarch64 mipsel mipsel64 mipsel64n32 ppc64le riscv64 sh'.split(' ')
const bigEndian = 'm68k mips mips64 mips64n32 parisc parisc64 ppc ppc64 s390 s390x sheb'.split(' ')
const bits32 = 'x86 x32 arm m68k mips mipsel mips64n32 mipsel64n32 parisc ppc s390 sheb sh'.split(' ')
const bits64 = 'x86_64 aarch64 loongarch64 mips64 parisc64 ppc64 riscv64 s390x'.split(' ')
const groups: Record<string, string[]> = { all_le: littleEndian, all_be: bigEndian, all_32: bits32, all_64: bits64 }

/** The test programs take the build for x86-64. */
const native = 'x86_64'

export const readTests = (folder: string): { lines: Line[]; fuzz: Fuzz[] } => {
  const lines: Line[] = []
  const fuzz: Fuzz[] = []
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.tests'))) {
    let type = ''
    readFileSync(`${folder}/${file}`, 'utf8')
      .split('\n')
      .forEach((text, index) => {
        const where = `${file}:${index + 1}`
        const header = /^test type:\s*(\S+)/.exec(text)
        if (header !== null) type = header[1] ?? ''
        const words = text.split(/\s+/).filter((word) => word !== '')
        if (header !== null || words.length === 0 || text.startsWith('#')) return
        const [program = '', archs = '', syscall = ''] = words
        if (type === 'bpf-sim') {
          if (words.length !== 10) throw new Error(`${where}: ${words.length} words, not 10`)
          lines.push({ program, archs, syscall, args: words.slice(3, 9), result: words[9] ?? '', where })
        } else if (type === 'bpf-sim-fuzz') {
          fuzz.push({ program, runs: Number(archs), where })
        }
      })
  }
  return { lines, fuzz }
}

/** `+x` adds an architecture or a group, `x` only if it is or holds the native one, `-x` takes one away. */
export const expandArchs = (words: string): string[] => {
  const wanted: string[] = []
  const avoided: string[] = []
  for (const word of words.split(',')) {
    const name = word.replace(/^[+-]/, '')
    if (word.startsWith('-')) avoided.push(name)
    else if (word.startsWith('+')) wanted.push(...(groups[name] ?? [name]))
    else if (name === 'all' || name === native || groups[name]?.includes(native)) wanted.push(native)
  }
  return wanted.filter((arch) => !avoided.includes(arch))
}

/** `1-9` or `0x1-0x9` stands for every value between; anything else for itself. Counted as uint64. */
const expandRange = (word: string): string[] => {
  if (!/^[0-9a-fA-Fx]+-[0-9a-fA-Fx]+$/.test(word)) return [word]
  const [low = '', high = ''] = word.split('-')
  const values: string[] = []
  for (let value = BigInt(low); value <= BigInt(high); value++) values.push(String(value))
  return values
}

/** Every combination of what the line's ranges stand for, for every architecture. Names are left to be resolved. */
export const expandLine = (line: Line): Case[] => {
  const args: (string | undefined)[][] = line.args.map((word) => (word === 'N' ? [undefined] : expandRange(word)))
  let combinations: (string | undefined)[][] = [[]]
  for (const choices of args) combinations = combinations.flatMap((head) => choices.map((value) => [...head, value]))
  return expandArchs(line.archs).flatMap((arch) =>
    expandRange(line.syscall).flatMap((syscall) => combinations.map((values) => ({ arch, syscall, args: values }))),
  )
}

export const isNumber = (syscall: string): boolean => /^-?[0-9]+$/.test(syscall)
