import type { PolicyDocument } from '../generated/policy.ts'
import { type ArchitectureName, architecturesOf, canonicalPolicy } from './document.ts'

/**
 * A policy that also allows what a runtime calls itself between loading a filter and the program's start (ownCallsOf). `has`: whether an
 * architecture has a call of that name.
 */
export function withRuntimeCalls(
  policy: PolicyDocument,
  runtimeCalls: readonly string[],
  has: (architecture: ArchitectureName, name: string) => boolean,
): PolicyDocument {
  const architectures = architecturesOf(policy).map(([architecture, content]) => {
    const calls = runtimeCalls.filter((name) => has(architecture, name))
    const others = content.syscalls.filter(({ name }) => name === undefined || !calls.includes(name))
    return [architecture, { ...content, syscalls: [...others, ...calls.map((name) => ({ name }))] }]
  })
  return canonicalPolicy({ ...policy, architectures: Object.fromEntries(architectures) })
}
