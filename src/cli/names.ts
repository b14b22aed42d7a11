import { archNames } from 'seccomp-bpf-wasm'
import { seccompLibrary } from '../filter/library.ts'
import type { SyscallNames } from '../policy/names.ts'

/** libseccomp's names and numbers. */
export function syscallNames(): SyscallNames {
  const seccomp = seccompLibrary()
  let everywhere: Set<string> | undefined
  return {
    numberOf: (architecture, name) => seccomp.resolveName(architecture, name),
    nameOf: (architecture, number) => seccomp.resolveNumber(architecture, number),
    highest: (architecture) => seccomp.highest(architecture),
    all: (architecture) => seccomp.syscalls(architecture).keys(),
    exists: (name) => {
      everywhere ??= new Set(archNames.flatMap((architecture) => [...seccomp.syscalls(architecture).keys()]))
      return everywhere.has(name)
    },
  }
}
