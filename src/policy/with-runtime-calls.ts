import type { PolicyDocument } from '../generated/policy.ts'
import { canonicalPolicy } from './document.ts'
import { RUNTIME_CALLS } from './runtime-calls.ts'

/** Runtimes are 64-bit programs. */
const NATIVE = ['x86_64', 'aarch64'] as const

/** A policy that also allows what runtimes call themselves between loading a filter and the program's start. */
export function withRuntimeCalls(policy: PolicyDocument): PolicyDocument {
  const architectures = { ...policy.architectures }
  for (const name of NATIVE) {
    const native = architectures[name]
    if (native === undefined) continue
    const others = native.syscalls.filter((call) => call.name === undefined || !RUNTIME_CALLS.includes(call.name))
    architectures[name] = { ...native, syscalls: [...others, ...RUNTIME_CALLS.map((call) => ({ name: call }))] }
  }
  return canonicalPolicy({ ...policy, architectures })
}
