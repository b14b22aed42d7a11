/** How much of the kernel a policy leaves open, against all of it and against another policy. Pure. */
import type { PolicyDocument } from '../generated/policy.ts'
import { type ArchitectureName, architecturesOf } from './document.ts'
import type { SyscallNames } from './names.ts'
import { bySubsystem } from './subsystems.ts'
import { syscallKey } from './syscalls.ts'

export interface Surface {
  readonly architecture: ArchitectureName
  /** Calls that are allowed, with any arguments or with some. */
  readonly allowed: number
  /** Calls that the architecture has. */
  readonly all: number
  readonly subsystems: ReturnType<typeof bySubsystem>
  readonly against?: {
    readonly allowed: number
    /** Calls that only the policy allows. */
    readonly beyond: readonly string[]
  }
}

export function surfaceOf(
  policy: PolicyDocument,
  names: Pick<SyscallNames, 'all'>,
  against: PolicyDocument | undefined,
): Surface[] {
  return architecturesOf(policy).map(([architecture, { syscalls }]) => {
    const allowed = new Set(syscalls.map(syscallKey))
    const all = [...names.all(architecture)]
    const other = against?.architectures[architecture]
    const others = new Set((other?.syscalls ?? []).map(syscallKey))
    return {
      architecture,
      allowed: allowed.size,
      all: all.length,
      subsystems: bySubsystem(all, allowed),
      ...(against === undefined
        ? {}
        : { against: { allowed: others.size, beyond: [...allowed].filter((call) => !others.has(call)) } }),
    }
  })
}
