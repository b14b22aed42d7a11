/** What two policies both allow. Pure. */
import type { AllowedSyscall, Architecture, Comparison, PolicyDocument } from '../generated/policy.ts'
import { architecturesOf, canonicalPolicy } from './document.ts'
import { disjoint, satisfies } from './rules.ts'
import { canonicalRules, syscallKey } from './syscalls.ts'
import { decodeUint64, encodeUint64 } from './uint64.ts'
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
  architecture: string,
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
          : intersectRules(rules, other.rules, () => notes.push(`${place}: a rule that cannot be said`))
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

/** Each rule of the one with each of the other. */
export function intersectRules(
  a: readonly Comparison[][],
  b: readonly Comparison[][],
  lost: () => void,
): Comparison[][] {
  const both: Comparison[][] = []
  for (const one of a) {
    for (const other of b) {
      if (disjoint(one, other)) continue
      const rule = intersectRule(one, other)
      if (rule === undefined) lost()
      else both.push(rule)
    }
  }
  return canonicalRules(both)
}

/** Undefined where one comparison for each argument cannot say it. */
function intersectRule(a: readonly Comparison[], b: readonly Comparison[]): Comparison[] | undefined {
  const rule = new Map(a.map((comparison) => [comparison.index, comparison]))
  for (const other of b) {
    const own = rule.get(other.index)
    const both = own === undefined ? other : intersectComparison(own, other)
    if (both === undefined) return undefined
    rule.set(other.index, both)
  }
  return [...rule.values()]
}

function intersectComparison(a: Comparison, b: Comparison): Comparison | undefined {
  // Contradictions went before (disjoint): one value satisfies the other comparison.
  if (a.op === '==') return a
  if (b.op === '==') return b
  if (a.op === 'masked==' && b.op === 'masked==') {
    const value = decodeUint64(a.value) | decodeUint64(b.value)
    const mask = decodeUint64(a.mask ?? 0) | decodeUint64(b.mask ?? 0)
    return { index: a.index, op: 'masked==', value: encodeUint64(value), mask: encodeUint64(mask) }
  }
  const [valueA, valueB] = [decodeUint64(a.value), decodeUint64(b.value)]
  if (a.op === b.op && valueA === valueB) return a
  if (isUpper(a.op) && isUpper(b.op)) return satisfies(b, upperEnd(a)) ? a : b
  if (isLower(a.op) && isLower(b.op)) return satisfies(b, lowerEnd(a)) ? a : b
  if (a.op === '!=' && !satisfies(b, valueA)) return b
  if (b.op === '!=' && !satisfies(a, valueB)) return a
  return undefined
}

function isUpper(op: Comparison['op']): boolean {
  return op === '<' || op === '<='
}

function isLower(op: Comparison['op']): boolean {
  return op === '>' || op === '>='
}

/** The greatest value that satisfies it. Not for < 0, which is disjoint with everything. */
function upperEnd({ op, value }: Comparison): bigint {
  return decodeUint64(value) - (op === '<' ? 1n : 0n)
}

/** The least value that satisfies it. */
function lowerEnd({ op, value }: Comparison): bigint {
  return decodeUint64(value) + (op === '>' ? 1n : 0n)
}
