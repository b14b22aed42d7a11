/** Comments that people put on a policy or on its calls. Pure. */
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

/**
 * The policy with the comments of a call changed, wherever the call stands (`architecture`: only there). Undefined where it stands nowhere.
 * `call`: its name, or #number.
 */
export function commentCall(
  policy: PolicyDocument,
  call: string,
  architecture: ArchitectureName | undefined,
  change: CommentChange,
  missing: (comment: string) => void,
): PolicyDocument | undefined {
  const found: AllowedSyscall[] = []
  const architectures: PolicyDocument['architectures'] = {}
  for (const [name, { known, syscalls }] of architecturesOf(policy)) {
    const here = architecture === undefined || architecture === name
    const commented = syscalls.map((syscall) => {
      if (!here || syscallKey(syscall) !== call) return syscall
      found.push(syscall)
      return changed(syscall, change)
    })
    architectures[name] = { known, syscalls: commented }
  }
  if (found.length === 0) return undefined
  for (const line of change.remove) if (!found.some(({ comments }) => comments?.includes(line))) missing(line)
  return canonicalPolicy({ ...policy, architectures })
}

function changed<Target extends Commented>(target: Target, { add, remove }: CommentChange): Target {
  const { comments = [], ...rest } = target
  const kept = [...comments, ...add].filter((line) => !remove.includes(line))
  return { ...rest, comments: kept } as Target
}
