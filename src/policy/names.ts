import type { ArchitectureName } from './document.ts'

/** What a list of an architecture's calls is turned into names with. */
export interface SyscallTable {
  nameOf(architecture: string, number: number): string | undefined
  /** The highest number that has a name. */
  highest(architecture: string): number
}

/** The names and numbers of calls, for those parts of the house that must not know where they come from. */
export interface SyscallNames extends SyscallTable {
  /** Undefined where the architecture has no such call. */
  numberOf(architecture: ArchitectureName, name: string): number | undefined
  /** All names of an architecture. */
  all(architecture: ArchitectureName): Iterable<string>
  /** Whether any architecture, also one that policies do not have, knows the name. */
  exists(name: string): boolean
}
