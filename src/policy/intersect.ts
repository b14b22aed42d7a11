/** What two policies both allow. Pure. */
import type { AllowedSyscall, Architecture, PolicyDocument } from '../generated/policy.ts'
import { type ArchitectureName, architecturesOf, canonicalPolicy, registerBits } from './document.ts'
import { intersectRules } from './intersect-rules.ts'
import { syscallKey } from './syscalls.ts'
import { widenPolicy } from './widen.ts'

/**
 * What the policy allows and the other one allows as well, with the policy's name, runs and marks. `notes` collects what went, and
 * rules whose common part a policy cannot say: they go, too, so that the result is never wider than either.
 */
export function intersectPolicies(policy: PolicyDocument, other: PolicyDocument, notes: string[]): PolicyDocument {
  const theirs = widenPolicy(other)
  const architectures: PolicyDocument['architectures'] = {}
  for (const [name, architecture] of architecturesOf(policy)) {
    const match = theirs.architectures[name]
    if (match === undefined) notes.push(`${name}: the other one has no calls of it`)
    else architectures[name] = intersectLists(architecture, match, policy, notes, name)
  }
  return canonicalPolicy({ ...policy, architectures })
}

function intersectLists(
  a: Architecture,
  b: Architecture,
  policy: PolicyDocument,
  notes: string[],
  architecture: ArchitectureName,
): Architecture {
  const others = new Map(b.syscalls.map((call) => [syscallKey(call), call]))
  const kept: AllowedSyscall[] = []
  for (const call of a.syscalls) {
    const place = `${syscallKey(call)} (${architecture})`
    const other = others.get(syscallKey(call))
    if (other === undefined) notes.push(`${place}: not allowed by the other one`)
    else if (other.rules === undefined) kept.push(call)
    else {
      const { learned: _, rules, ...rest } = widened(call, architecture, policy)
      const both =
        rules === undefined
          ? other.rules
          : intersectRules(rules, other.rules, registerBits(architecture), () =>
              notes.push(`${place}: a rule that cannot be said`),
            )
      if (both.length > 0) kept.push({ ...rest, rules: both })
      else notes.push(`${place}: no arguments that both allow`)
    }
  }
  return { known: Math.min(a.known, b.known), syscalls: kept }
}

/** The call with its learned arguments as rules. */
function widened(call: AllowedSyscall, architecture: string, policy: PolicyDocument): AllowedSyscall {
  const alone = { ...policy, architectures: { [architecture]: { known: 0, syscalls: [call] } } } as PolicyDocument
  return architecturesOf(widenPolicy(alone))[0]?.[1].syscalls[0] ?? call
}
