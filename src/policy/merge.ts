import type { AllowedSyscall, Architecture, Import, PolicyDocument, Run } from '../generated/policy.ts'
import { type ArchitectureName, architecturesOf, canonicalPolicy, importKey, POLICY_VERSION } from './document.ts'
import { isUnrestricted, mergeLearned } from './learned.ts'
import { sortedLines } from './lines.ts'
import { earlierOf, mergePaths } from './paths.ts'
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
  const paths = mergePaths(a.paths, b.paths, earlierOf([...runs.values()]))
  return canonicalPolicy({
    version: POLICY_VERSION,
    name: a.name,
    complete: false,
    ...sortedLines('comments', a.comments, b.comments),
    ...wider(a.widening, b.widening),
    architectures,
    ...(paths === undefined ? {} : { paths }),
    runs: [...runs.values()],
    imports: mergeImports([...(a.imports ?? []), ...(b.imports ?? [])]),
  })
}

/** Each import once, with its first date. */
function mergeImports(imports: readonly Import[]): Import[] {
  const merged = new Map<string, Import>()
  for (const one of imports) {
    const other = merged.get(importKey(one))
    if (other === undefined || compareText(one.date, other.date) < 0) merged.set(importKey(one), one)
  }
  return [...merged.values()]
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

/** The union of two entries of one call that no run made. */
export function mergeCalls(a: AllowedSyscall, b: AllowedSyscall): AllowedSyscall {
  return mergeSyscalls(a, b, () => undefined)
}

function mergeSyscalls(a: AllowedSyscall, b: AllowedSyscall, started: Started): AllowedSyscall {
  const { rules: rulesA, learned: learnedA, count: countA } = a
  const { rules: rulesB, learned: learnedB, count: countB } = b
  const merged: AllowedSyscall = a.name === undefined ? { number: a.number as number } : { name: a.name }
  // The larger count of one run, not a sum: merging the same run twice must change nothing.
  if (countA !== undefined || countB !== undefined) merged.count = Math.max(countA ?? 0, countB ?? 0)
  // The first two of all runs that made it: what is needed to tell a call of one run from others, and merges in any order.
  const [since, again] = [...new Set([a.since, a.again, b.since, b.again])]
    .filter((id) => id !== undefined)
    .sort((x, y) => compareText(started(x) ?? '', started(y) ?? ''))
  if (since !== undefined) merged.since = since
  if (again !== undefined) merged.again = again
  // A call that was learned or imported needs no other one to stand beside.
  if (a.via !== undefined && b.via !== undefined) [merged.via] = [a.via, b.via].sort(compareText) as [string, string]
  Object.assign(merged, sortedLines('reasons', a.reasons, b.reasons), sortedLines('comments', a.comments, b.comments))
  Object.assign(merged, wider(a.widening, b.widening))
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
