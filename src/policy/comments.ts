/** What people say of a policy and of its calls. Pure. */
import type { AllowedSyscall, PolicyDocument } from '../generated/policy.ts'
import { type ArchitectureName, architecturesOf, canonicalPolicy } from './document.ts'
import { syscallKey } from './syscalls.ts'

export interface CommentChange {
  /** Lines that come; those that are there stay once. */
  readonly add: readonly string[]
  /** Lines that go. */
  readonly remove: readonly string[]
}

interface Commented {
  comments?: string[]
}

/** The policy with comments of its own changed. `missing`: called with each line to be removed that is not there. */
export function commentPolicy(
  policy: PolicyDocument,
  change: CommentChange,
  missing: (comment: string) => void,
): PolicyDocument {
  for (const line of change.remove) if (!policy.comments?.includes(line)) missing(line)
  return canonicalPolicy(changed(policy, change))
}

/** Where a call stands: its name, or #number, and the architecture, or all of them. */
export interface CallPlace {
  readonly call: string
  readonly architecture: ArchitectureName | undefined
}

/** The policy with the comments of a call changed, wherever it stands. Undefined where it stands nowhere. */
export function commentCall(
  policy: PolicyDocument,
  place: CallPlace,
  change: CommentChange,
  missing: (comment: string) => void,
): PolicyDocument | undefined {
  const found: string[] = []
  const result = changeCall(policy, place, (syscall) => {
    found.push(...(syscall.comments ?? []))
    return changed(syscall, change)
  })
  if (result !== undefined) for (const line of change.remove) if (!found.includes(line)) missing(line)
  return result
}

/** The policy with a call changed, wherever it stands. Undefined where it stands nowhere. */
export function changeCall(
  policy: PolicyDocument,
  { call, architecture }: CallPlace,
  change: (syscall: AllowedSyscall) => AllowedSyscall,
): PolicyDocument | undefined {
  let found = false
  const architectures: PolicyDocument['architectures'] = {}
  for (const [name, { known, syscalls }] of architecturesOf(policy)) {
    const here = architecture === undefined || architecture === name
    const changed = syscalls.map((syscall) => {
      if (!here || syscallKey(syscall) !== call) return syscall
      found = true
      return change(syscall)
    })
    architectures[name] = { known, syscalls: changed }
  }
  return found ? canonicalPolicy({ ...policy, architectures }) : undefined
}

function changed<Target extends Commented>(target: Target, { add, remove }: CommentChange): Target {
  const { comments = [], ...rest } = target
  const kept = [...comments, ...add].filter((line) => !remove.includes(line))
  return { ...rest, comments: kept } as Target
}
