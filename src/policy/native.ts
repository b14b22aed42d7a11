import type { ArchitectureName } from './document.ts'

/** The architecture of a machine's programs, by process.arch; undefined where policies have none for it. */
export function nativeArchitecture(machine: string): ArchitectureName | undefined {
  const names: Readonly<Record<string, ArchitectureName>> = { x64: 'x86_64', ia32: 'x86', arm64: 'aarch64', arm: 'arm' }
  return names[machine]
}
