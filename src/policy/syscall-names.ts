/** The names and numbers that libseccomp has, from a table that is made when this is built: asking libseccomp would mean to load it. */
import { ELSEWHERE, SYSCALLS } from '../generated/syscalls.ts'
import type { SyscallNames } from './names.ts'

/** One architecture's calls; made when first asked for. */
interface Table {
  readonly numbers: ReadonlyMap<string, number>
  readonly names: ReadonlyMap<number, string>
  readonly highest: number
}

const tables = new Map<string, Table>()

/** Of an architecture that policies do not have, nothing is known. */
export const SYSCALL_NAMES: SyscallNames = {
  numberOf: (architecture, name) => tableOf(architecture).numbers.get(name),
  nameOf: (architecture, number) => tableOf(architecture).names.get(number),
  highest: (architecture) => tableOf(architecture).highest,
  all: (architecture) => tableOf(architecture).numbers.keys(),
  exists: (name) =>
    ELSEWHERE.split(' ').includes(name) || Object.keys(SYSCALLS).some((one) => tableOf(one).numbers.has(name)),
}

function tableOf(architecture: string): Table {
  const known = tables.get(architecture)
  if (known !== undefined) return known
  const numbers = new Map<string, number>()
  const names = new Map<number, string>()
  const { runs, highest } = SYSCALLS[architecture] ?? { runs: [], highest: 0 }
  for (const [first, list] of runs) {
    let number = first
    for (const name of list.split(' ')) {
      numbers.set(name, number)
      names.set(number++, name)
    }
  }
  const table = { numbers, names, highest }
  tables.set(architecture, table)
  return table
}
