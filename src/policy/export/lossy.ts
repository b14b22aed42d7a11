/** What a format cannot hold, taken out of a policy before it is exported, with a report. Pure. */
import type { AllowedSyscall, PolicyDocument } from '../../generated/policy.ts'
import { architecturesOf } from '../document.ts'
import { syscallKey } from '../syscalls.ts'

export interface Lossy {
  readonly policy: PolicyDocument
  /** A sentence for each loss; those that widen say so. */
  readonly losses: readonly string[]
}

/** Calls without a name go; with `namesOnly`, argument rules go as well, so that their calls are allowed with any arguments. */
export function withLosses(policy: PolicyDocument, namesOnly: boolean): Lossy {
  const losses: string[] = []
  const architectures: PolicyDocument['architectures'] = {}
  for (const [architecture, { known, syscalls }] of architecturesOf(policy)) {
    const kept: AllowedSyscall[] = []
    for (const syscall of syscalls) {
      const { rules, ...plain } = syscall
      const call = `${syscallKey(syscall)} (${architecture})`
      if (syscall.name === undefined) losses.push(`left out, as it has no name: ${call}`)
      else if (!namesOnly || rules === undefined) kept.push(syscall)
      // One that only stands beside a learned call is not worth more than was learned.
      else if (syscall.via !== undefined) losses.push(`left out, as it is allowed with certain arguments only: ${call}`)
      else {
        losses.push(`widened to any arguments: ${call}`)
        kept.push(plain)
      }
    }
    architectures[architecture] = { known, syscalls: kept }
  }
  return { policy: { ...policy, architectures }, losses }
}
