/** What a policy says of one call: the meaning that a compiled filter must have. Pure. */
import type { Comparison, PolicyDocument } from '../generated/policy.ts'
import { type ArchitectureName, architecturesOf } from '../policy/document.ts'
import { satisfies } from '../policy/rules.ts'
import { widenPolicy } from '../policy/widen.ts'

export type Verdict = 'allow' | 'refuse' | 'enosys'

/** A policy with its names resolved, ready to be asked. */
export interface ResolvedArchitecture {
  readonly name: ArchitectureName
  /** The highest number that was known when this was learned. Newer ones get ENOSYS, unless they are allowed. */
  readonly known: number
  /** By syscall number; null: any arguments. */
  readonly allowed: ReadonlyMap<number, Rules>
}

/** Widens what was learned to rules and resolves the names of a policy; `unresolved` collects the JSON pointers of those that are no syscall. */
export function resolvePolicy(
  policy: PolicyDocument,
  resolve: (architecture: ArchitectureName, name: string) => number | undefined,
  unresolved: string[],
): ResolvedArchitecture[] {
  return architecturesOf(widenPolicy(policy)).map(([name, architecture]) => {
    const allowed = new Map<number, Rules>()
    for (const [index, syscall] of architecture.syscalls.entries()) {
      const number = syscall.number ?? resolve(name, syscall.name as string)
      if (number === undefined)
        unresolved.push(`/architectures/${name}/syscalls/${index}: ${syscall.name} is no syscall of ${name}`)
      else allowed.set(number, eitherOf(allowed.get(number), syscall.rules ?? null))
    }
    return { name, known: architecture.known, allowed }
  })
}

type Rules = readonly Comparison[][] | null

/** Of a call that stands in the list by its name and, from a time when it had none, by its number: what either allows. */
function eitherOf(a: Rules | undefined, b: Rules): Rules {
  if (a === undefined) return b
  return a === null || b === null ? null : [...a, ...b]
}

/** The verdict on a call of an architecture that the policy names. */
export function evaluate({ known, allowed }: ResolvedArchitecture, number: number, args: readonly bigint[]): Verdict {
  const rules = allowed.get(number)
  if (rules === null) return 'allow'
  if (rules === undefined) return number > known ? 'enosys' : 'refuse'
  return rules.some((rule) => rule.every((comparison) => holds(comparison, args))) ? 'allow' : 'refuse'
}

/** Whether one comparison holds. */
export function holds(comparison: Comparison, args: readonly bigint[]): boolean {
  return satisfies(comparison, args[comparison.index] ?? 0n)
}
