/** What a policy learned of arguments, and what it makes of that: for people. */
import type { AllowedSyscall, PolicyDocument } from '../generated/policy.ts'
import { type Argument, argumentsOf } from '../policy/arguments.ts'
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
  const { learned, widening: own } = syscall
  if (learned === undefined) return []
  const call = syscallKey(syscall)
  const columns = learned.arguments.map((index) => {
    const known = argumentsOf(architecture, call).find((argument) => argument.index === index)
    return known ?? { name: `arg${index}` }
  })
  const seen = learned.values
    .slice(0, MAX_LISTED)
    .map((values) => `    ${values.map((value, at) => valueText(columns[at], value)).join(' ')}\n`)
  const more = learned.values.length - seen.length
  const made = steps.filter((step) => step.architecture === architecture && step.syscall === call)
  return [
    `  ${call} (${architecture}), seen with ${count(learned.values.length, 'combination')}${own === undefined ? '' : ` (widening: ${own})`}\n`,
    ...seen,
    ...(more > 0 ? [`    and ${more} more\n`] : []),
    ...made.map(
      ({ argument, reason }) => `    widened: ${argument === undefined ? '' : `${argument.name}: `}${reason}\n`,
    ),
  ]
}

/** "prio=-2", "type=0x80001". */
function valueText(column: Pick<Argument, 'name' | 'ranges'> | undefined, value: number): string {
  const signed = column?.ranges?.some(({ from }) => from < 0) === true
  const text = signed ? String(value | 0) : value < 10 ? String(value) : `0x${value.toString(16)}`
  return `${column?.name}=${text}`
}
