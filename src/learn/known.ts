/** Calls that a policy holds, because several runs made them, and that further runs need not watch. Pure. */
import type { AllowedSyscall, PolicyDocument } from '../generated/policy.ts'
import { architecturesOf } from '../policy/document.ts'
import type { SyscallTable } from '../policy/names.ts'
import { syscallKey } from '../policy/syscalls.ts'
import { numberInFilters } from './run.ts'
import type { KnownCalls } from './stream.ts'

/** The tracer watches larger numbers always (ALLOW_NUMBERS, tracer/filters/allow.h). */
const NUMBERS = 1024

/**
 * What a policy allows with any arguments and two runs have made. What was added without being seen shall still be seen; and what one
 * run alone made is watched on, as the estimate of what further runs may show rests on it (policy/status.ts).
 */
export function knownCalls(policy: PolicyDocument, table: SyscallTable): KnownCalls[] {
  return architecturesOf(policy).map(([arch, { syscalls }]) => {
    const seen = new Set(syscalls.filter((call) => call.again !== undefined && isUnconditional(call)).map(syscallKey))
    const numbers = Array.from({ length: NUMBERS }, (_, nr) => nr)
    return { arch, numbers: numbers.filter((nr) => seen.has(keyOf(arch, nr, table))) }
  })
}

/** Does the policy still allow all of these calls? Otherwise a run that did not watch them says nothing about the whole. */
export function holdsKnown(
  policy: PolicyDocument | undefined,
  known: readonly KnownCalls[],
  table: SyscallTable,
): boolean {
  const architectures = new Map<string, Set<string>>(
    (policy === undefined ? [] : architecturesOf(policy)).map(([arch, { syscalls }]) => [
      arch,
      new Set(syscalls.filter(isUnconditional).map(syscallKey)),
    ]),
  )
  return known.every(({ arch, numbers }) => numbers.every((nr) => architectures.get(arch)?.has(keyOf(arch, nr, table))))
}

function isUnconditional({ rules, learned }: AllowedSyscall): boolean {
  return rules === undefined && learned === undefined
}

function keyOf(arch: string, nr: number, table: SyscallTable): string {
  const number = numberInFilters(arch, nr)
  const name = table.nameOf(arch, number)
  return syscallKey(name === undefined ? { number } : { name })
}
