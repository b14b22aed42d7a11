import type { PolicyDocument } from '../generated/policy.ts'
import { canonicalPolicy } from './document.ts'
import { RUNTIME_CALLS } from './runtime-calls.ts'

/** A policy that also allows what runtimes call themselves between loading a filter and the program's start. */
export function withRuntimeCalls(policy: PolicyDocument): PolicyDocument {
  const native = policy.architectures.x86_64
  if (native === undefined) return policy
  const others = native.syscalls.filter(({ name }) => name === undefined || !RUNTIME_CALLS.includes(name))
  const syscalls = [...others, ...RUNTIME_CALLS.map((name) => ({ name }))]
  return canonicalPolicy({ ...policy, architectures: { ...policy.architectures, x86_64: { ...native, syscalls } } })
}
