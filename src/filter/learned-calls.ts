/** The calls that runs made, as a policy has kept them. Pure. */
import type { AllowedSyscall, PolicyDocument } from '../generated/policy.ts'
import { type ArchitectureName, architecturesOf } from '../policy/document.ts'
import { isUnrestricted } from '../policy/learned.ts'
import { auditArch } from './architectures.ts'
import type { SyscallData } from './simulate.ts'

/** Each call that a run made, with each combination of arguments that was recorded; without any where none were. */
export function learnedCalls(
  policy: PolicyDocument,
  resolve: (architecture: ArchitectureName, name: string) => number | undefined,
): SyscallData[] {
  return architecturesOf(policy).flatMap(([architecture, { syscalls }]) =>
    syscalls.flatMap((syscall) => {
      const number = syscall.number ?? resolve(architecture, syscall.name as string)
      if (number === undefined || syscall.since === undefined) return []
      return argumentsOf(syscall).map((args) => ({ arch: auditArch(architecture), number, args }))
    }),
  )
}

function argumentsOf(syscall: AllowedSyscall): bigint[][] {
  if (isUnrestricted(syscall)) return [[]]
  const { learned } = syscall
  // Rules that people wrote stand for no call in particular.
  if (learned === undefined) return []
  return learned.values.map((values) => {
    const args = Array<bigint>(6).fill(0n)
    for (const [place, index] of learned.arguments.entries()) args[index] = BigInt(values[place] as number)
    return args
  })
}
