/** What a policy learned of arguments, and what it makes of that: for people. */
import type { AllowedSyscall, PolicyDocument } from '../generated/policy.ts'
import { argumentsOf } from '../policy/arguments.ts'
import { type ArchitectureName, architecturesOf } from '../policy/document.ts'
import { syscallKey } from '../policy/syscalls.ts'
import { DEFAULT_WIDENING, type WideningStep, widenPolicy } from '../policy/widen.ts'
import { count } from './text.ts'

/** More combinations than this are counted, not listed. */
const MAX_LISTED = 8

export function describeArguments(policy: PolicyDocument): string {
  const steps: WideningStep[] = []
  widenPolicy(policy, steps)
  const calls = architecturesOf(policy).flatMap(([architecture, { syscalls }]) =>
    syscalls.flatMap((syscall) => describeCall(architecture, syscall, steps)),
  )
  if (calls.length === 0) {
    return '\nno arguments were learned; start the container with io.sandbox.detail=args to learn them\n'
  }
  return `\narguments (widening: ${policy.widening ?? DEFAULT_WIDENING})\n${calls.join('')}`
}

function describeCall(architecture: ArchitectureName, syscall: AllowedSyscall, steps: WideningStep[]): string[] {
  const { learned } = syscall
  if (learned === undefined) return []
  const call = syscallKey(syscall)
  const names = learned.arguments.map(
    (index) => argumentsOf(architecture, call).find((argument) => argument.index === index)?.name ?? `arg${index}`,
  )
  const seen = learned.values
    .slice(0, MAX_LISTED)
    .map((values) => `    ${values.map((value, at) => `${names[at]}=${hexadecimal(value)}`).join(' ')}\n`)
  const more = learned.values.length - seen.length
  const own = steps.filter((step) => step.architecture === architecture && step.syscall === call)
  return [
    `  ${call} (${architecture}), seen with ${count(learned.values.length, 'combination')}\n`,
    ...seen,
    ...(more > 0 ? [`    and ${more} more\n`] : []),
    ...own.map(
      ({ argument, reason }) => `    widened: ${argument === undefined ? '' : `${argument.name}: `}${reason}\n`,
    ),
  ]
}

function hexadecimal(value: number): string {
  return value < 10 ? String(value) : `0x${value.toString(16)}`
}
