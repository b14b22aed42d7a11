/** Policies for tests. */
import type { AllowedSyscall, PolicyDocument, Run } from '../../src/generated/policy.ts'
import { canonicalPolicy, POLICY_VERSION } from '../../src/policy/document.ts'

export function run(id: string, more: Partial<Run> = {}): Run {
  return {
    id,
    backend: 'ptrace-syscall',
    detail: 'names',
    started: '2026-11-21T00:00:00.000Z',
    ended: '2026-11-21T00:00:01.000Z',
    complete: true,
    reason: 'exited',
    exit: { code: 0 },
    calls: 10,
    distinct: 3,
    tasks: 1,
    lost: { tasks: 0, calls: 0, writes: 0 },
    ...more,
  }
}

/** A policy of x86-64 calls: names, or whole entries. */
export function policy(
  syscalls: readonly (string | AllowedSyscall)[],
  more: Partial<Omit<PolicyDocument, 'version'>> = {},
): PolicyDocument {
  const entries = syscalls.map((syscall) => (typeof syscall === 'string' ? { name: syscall } : syscall))
  const architectures = { x86_64: { known: 471, syscalls: entries } }
  return canonicalPolicy({ version: POLICY_VERSION, name: 'test', complete: false, architectures, runs: [], ...more })
}
