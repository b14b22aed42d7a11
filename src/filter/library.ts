/** libseccomp, loaded at most once, and only where it is used: the hook's path with a cached filter never does. */
import { loadSync, type Seccomp } from 'seccomp-bpf-wasm'
import { readSeccompWasm } from '#seccomp-wasm'

/** The syscalls of each architecture. */
export interface SyscallTable {
  nameOf(architecture: string, number: number): string | undefined
  /** The highest number that has a name. */
  highest(architecture: string): number
}

let loaded: Seccomp | undefined

export function seccompLibrary(): Seccomp {
  loaded ??= loadSync(readSeccompWasm())
  return loaded
}

/** The same; `module`: readSeccompWasm(), compiled. */
export function libraryOf(module: WebAssembly.Module): Seccomp {
  loaded ??= loadSync(module)
  return loaded
}

/** The table that libseccomp has. */
export function syscallTable(): SyscallTable {
  const seccomp = seccompLibrary()
  return {
    nameOf: (architecture, number) => seccomp.resolveNumber(architecture as 'x86_64', number),
    highest: (architecture) => seccomp.highest(architecture as 'x86_64'),
  }
}
