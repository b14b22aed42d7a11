import { architectures } from 'seccomp-bpf-wasm'
import type { ArchitectureName } from '../policy/document.ts'

/** The architectures that a policy can have; x86_64 and x32 share a value of seccomp_data.arch. */
export const ARCHITECTURES: readonly ArchitectureName[] = ['x86_64', 'x32', 'x86', 'aarch64', 'arm']

/** AUDIT_ARCH_* (linux/audit.h) of an architecture: what a filter sees in seccomp_data.arch. */
export function auditArch(architecture: ArchitectureName): number {
  return architectures[architecture].audit
}

/** __X32_SYSCALL_BIT of asm/unistd.h: x86-64 and x32 share one AUDIT_ARCH value, and this bit of the number tells them apart. */
const X32_BIT = 0x4000_0000

/** The first number that belongs to another ABI of the same AUDIT_ARCH value. */
export function numberSpaceEnd(architecture: ArchitectureName): number {
  return architecture === 'x86_64' ? X32_BIT : 0xffff_ffff
}

/** The first number of an architecture's calls. */
export function numberSpaceStart(architecture: ArchitectureName): number {
  return architecture === 'x32' ? X32_BIT : 0
}
