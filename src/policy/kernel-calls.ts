import type { ArchitectureName } from './document.ts'

/** Two calls that the kernel itself puts into a program, at any time: every policy allows them (signal(7), restart_syscall(2)). */
const KERNEL_CALLS = ['restart_syscall', 'rt_sigreturn']

/** The calls that every learned list of an architecture holds; on 32-bit x86 a handler without SA_SIGINFO returns by sigreturn. */
export function kernelCalls(architecture: ArchitectureName): readonly string[] {
  return architecture === 'x86' || architecture === 'arm' ? [...KERNEL_CALLS, 'sigreturn'] : KERNEL_CALLS
}

/**
 * On x86-64 programs from before the vDSO (glibc before 2.14, the Go of that time) make these by jumping to the vsyscall page. The kernel then does the call's work and asks
 * seccomp, but it is no system call to ptrace or to tracepoints (emulate_vsyscall(), arch/x86/entry/vsyscall/vsyscall_64.c).
 */
const VSYSCALLS = ['getcpu', 'gettimeofday', 'time']

/** The calls that every list holds that was learned: those that nobody can see a program make. */
export function unseenCalls(architecture: ArchitectureName): readonly string[] {
  return [...kernelCalls(architecture), ...(architecture === 'x86_64' ? VSYSCALLS : [])]
}
