import type { AllowedSyscall, Architecture, PolicyDocument, Run } from '../generated/policy.ts'
import { type ArchitectureName, architecturesOf, canonicalPolicy, POLICY_VERSION } from './document.ts'
import { isUnrestricted, mergeLearned } from './learned.ts'
import { canonicalRules, compareText, syscallKey } from './syscalls.ts'
import { WIDENINGS } from './widen.ts'

/**
 * The union of two policies: what either allows. Commutative, associative and idempotent, so that runs, containers and hosts
 * can be merged in any order, and twice. The result has a's name.
 */
export function mergePolicies(a: PolicyDocument, b: PolicyDocument): PolicyDocument {
  const runs = new Map<string, Run>()
  for (const run of [...a.runs, ...b.runs]) {
    const other = runs.get(run.id)
    runs.set(run.id, other === undefined ? run : laterRecord(other, run))
  }
  const started = (id: string | undefined) => (id === undefined ? undefined : `${runs.get(id)?.started ?? ''} ${id}`)

  const architectures: PolicyDocument['architectures'] = {}
  for (const [name, architecture] of [...architecturesOf(a), ...architecturesOf(b)]) {
    const other = architectures[name as ArchitectureName]
    architectures[name] = other === undefined ? architecture : mergeArchitectures(other, architecture, started)
  }
  return canonicalPolicy({
    version: POLICY_VERSION,
    name: a.name,
    complete: false,
    ...wider(a.widening, b.widening),
    architectures,
    runs: [...runs.values()],
  })
}

type Started = (runId: string | undefined) => string | undefined

function mergeArchitectures(a: Architecture, b: Architecture, started: Started): Architecture {
  const syscalls = new Map<string, AllowedSyscall>()
  for (const syscall of [...a.syscalls, ...b.syscalls]) {
    const key = syscallKey(syscall)
    const other = syscalls.get(key)
    syscalls.set(key, other === undefined ? syscall : mergeSyscalls(other, syscall, started))
  }
  // The smaller one, as a call that one of the two did not know must get ENOSYS.
  return { known: Math.min(a.known, b.known), syscalls: [...syscalls.values()] }
}

function mergeSyscalls(a: AllowedSyscall, b: AllowedSyscall, started: Started): AllowedSyscall {
  const { rules: rulesA, learned: learnedA, count: countA, since: sinceA, ...identity } = a
  const { rules: rulesB, learned: learnedB, count: countB, since: sinceB } = b
  const merged: AllowedSyscall = { ...identity }
  // The larger count of one run, not a sum: merging the same run twice must change nothing.
  if (countA !== undefined || countB !== undefined) merged.count = Math.max(countA ?? 0, countB ?? 0)
  const since = [sinceA, sinceB]
    .filter((id) => id !== undefined)
    .sort((x, y) => compareText(started(x) ?? '', started(y) ?? ''))[0]
  if (since !== undefined) merged.since = since
  // Neither rules nor learned arguments = any arguments, which holds all others.
  if (isUnrestricted(a) || isUnrestricted(b)) return merged
  const learned = mergeLearned(learnedA, learnedB)
  if (learned === 'any') return merged
  if (learned !== undefined) merged.learned = learned
  if (rulesA !== undefined || rulesB !== undefined)
    merged.rules = canonicalRules([...(rulesA ?? []), ...(rulesB ?? [])])
  return merged
}

/** The wider of two; one that says nothing yields. */
function wider(a: PolicyDocument['widening'], b: PolicyDocument['widening']): Pick<PolicyDocument, 'widening'> {
  const rank = (widening: PolicyDocument['widening']) => (widening === undefined ? -1 : WIDENINGS.indexOf(widening))
  const widening = rank(a) >= rank(b) ? a : b
  return widening === undefined ? {} : { widening }
}

/** Of two records of one run, the one that saw more of it; any fixed order beyond that. */
function laterRecord(a: Run, b: Run): Run {
  const rank = (run: Run) => [Number(run.complete), Number(run.ended !== undefined), run.calls, run.distinct]
  const [rankA, rankB] = [rank(a), rank(b)]
  for (const [index, value] of rankA.entries()) {
    const other = rankB[index] as number
    if (value !== other) return value > other ? a : b
  }
  return compareText(JSON.stringify(a), JSON.stringify(b)) >= 0 ? a : b
}
