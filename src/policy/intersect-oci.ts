/** linux.seccomp of a bundle and a profile of ours -> a profile that allows what both allow, or less. Pure. */
import { SandboxError } from '../errors.ts'
import { type Profile, type ProfileSyscall, SCMP_ARCH } from './export-oci.ts'
import { nativeArchitecture } from './native.ts'

/** What the bundle's own profile says, as far as it is looked at: it is the user's and may hold anything. */
interface TheirProfile {
  readonly defaultAction?: unknown
  readonly architectures?: unknown
  readonly syscalls?: unknown
}

interface TheirSyscall {
  readonly names?: unknown
  readonly action?: unknown
  readonly args?: unknown
}

const ALLOWING = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG']

/**
 * Keeps an entry of ours where theirs allows that call whatever its arguments. Where theirs allows it for some arguments only, theirs are
 * taken if ours has none, and nothing is allowed if ours has some too: two conditions cannot be joined in a profile. Throws NOT_PERMITTED where
 * ours refuses nothing (the action log), or has none of their architectures.
 */
export function intersectOci(ours: Profile, theirs: unknown): Profile {
  const { defaultAction, architectures, syscalls: entries } = (theirs ?? {}) as TheirProfile
  if (ALLOWING.includes(ours.defaultAction)) {
    throw new SandboxError(
      'NOT_PERMITTED',
      "io.sandbox.action=log cannot be put into linux.seccomp beside the bundle's own profile: what that refuses would pass; ask for errno or kill, or take enforce.method exec",
    )
  }
  const shared = ours.architectures.filter((name) => listedArchitectures(architectures).includes(name))
  if (shared.length === 0)
    throw new SandboxError('NOT_PERMITTED', "the policy has no architecture that the bundle's own linux.seccomp has")
  const listed = Array.isArray(entries) ? (entries as TheirSyscall[]) : []
  const about = (name: string) => listed.filter(({ names }) => Array.isArray(names) && names.includes(name))
  const conditional = ({ args }: TheirSyscall) => Array.isArray(args) && args.length > 0
  const allows = ({ action }: TheirSyscall) => ALLOWING.includes(String(action))
  const syscalls: ProfileSyscall[] = []
  const whole: string[] = []
  for (const entry of ours.syscalls) {
    for (const name of entry.names) {
      const rules = about(name)
      const refused = rules.some((rule) => !allows(rule))
      const always = rules.some((rule) => allows(rule) && !conditional(rule))
      if (refused) continue
      if (always || (rules.length === 0 && ALLOWING.includes(String(defaultAction)))) {
        if (entry.args === undefined) whole.push(name)
        else syscalls.push({ ...entry, names: [name] })
      } else if (entry.args === undefined) {
        for (const { args } of rules) syscalls.push({ names: [name], action: 'SCMP_ACT_ALLOW', args: args as never })
      }
    }
  }
  return {
    ...ours,
    architectures: shared,
    syscalls: [...(whole.length === 0 ? [] : [{ names: whole, action: 'SCMP_ACT_ALLOW' as const }]), ...syscalls],
  }
}

/** Of a profile: those that it names, and the machine's own, which libseccomp begins every filter with. */
function listedArchitectures(named: unknown): unknown[] {
  const native = nativeArchitecture(process.arch)
  return [...(Array.isArray(named) ? named : []), ...(native === undefined ? [] : [SCMP_ARCH[native]])]
}
