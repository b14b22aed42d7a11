/** Whether a set of calls can start a program at all: what people find out last when a set comes from somewhere else. Pure. */
import type { Architecture, PolicyDocument } from '../generated/policy.ts'
import { type ArchitectureName, architecturesOf } from './document.ts'
import { kernelCalls } from './kernel-calls.ts'
import { syscallKey } from './syscalls.ts'

/**
 * What glibc's dynamic loader and start-up code (2.31 to 2.41) end the program for when it fails; each line is met by one of its calls. The
 * execve that starts the program is the runtime's, and needs no rule.
 */
const LOADER: readonly (readonly string[])[] = [
  ['openat', 'open'],
  ['read', 'pread64'],
  ['fstat', 'newfstatat', 'fstat64', 'fstatat64', 'statx'],
  ['mmap', 'mmap2'],
  ['mprotect'],
  ['close'],
]

/** What sets up thread-local storage, without which no libc comes to main(). On aarch64 no call does. */
export const THREAD_AREA: Partial<Record<ArchitectureName, string>> = {
  x86_64: 'arch_prctl',
  x32: 'arch_prctl',
  x86: 'set_thread_area',
  arm: 'set_tls',
}

/** Sentences about what is missing, none where a dynamic program can start. Of several architectures the program's is the longest list. */
export function startProblems(policy: PolicyDocument): string[] {
  const [main] = architecturesOf(policy).sort(([, a], [, b]) => b.syscalls.length - a.syscalls.length)
  return main === undefined ? [] : problemsOf(...main)
}

function problemsOf(architecture: ArchitectureName, { syscalls }: Architecture): string[] {
  const allowed = new Set(syscalls.map(syscallKey))
  const has = (calls: readonly string[]) => calls.some((call) => allowed.has(call))
  const problems: string[] = []
  if (!has(['exit_group', 'exit'])) problems.push('no program can end properly: exit_group is missing')
  const area = THREAD_AREA[architecture]
  if (area !== undefined && !allowed.has(area))
    problems.push(`no program with a C library can start: ${area} is missing`)
  const loader = LOADER.filter((calls) => !has(calls)).map(([call]) => call)
  if (loader.length > 0)
    problems.push(`no dynamically linked program can start: ${loader.join(', ')} ${verb(loader)} missing`)
  const kernel = kernelCalls(architecture).filter((call) => !allowed.has(call))
  if (kernel.length > 0)
    problems.push(`no program survives a signal or a stop: ${kernel.join(', ')} ${verb(kernel)} missing`)
  return problems.map((problem) => `${architecture}: ${problem}`)
}

function verb(items: readonly unknown[]): string {
  return items.length === 1 ? 'is' : 'are'
}
