import type { ArchitectureName } from './document.ts'

/** Two calls that the kernel itself puts into a program, at any time: every policy allows them (signal(7), restart_syscall(2)). */
const KERNEL_CALLS = ['restart_syscall', 'rt_sigreturn']

/** The calls that every learned list of an architecture holds; on 32-bit x86 a handler without SA_SIGINFO returns by sigreturn. */
export function kernelCalls(architecture: ArchitectureName): readonly string[] {
  return architecture === 'x86' || architecture === 'arm' ? [...KERNEL_CALLS, 'sigreturn'] : KERNEL_CALLS
}
