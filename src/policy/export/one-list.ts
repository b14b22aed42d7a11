/** Formats that have one list of calls for all architectures: the policy's lists as one, where that says the same. Pure. */
import { SandboxError } from '../../errors.ts'
import type { AllowedSyscall, Comparison, PolicyDocument } from '../../generated/policy.ts'
import { ARGUMENT_BITS, type ArchitectureName, architecturesOf } from '../document.ts'
import type { SyscallNames } from '../names.ts'
import { narrowed, ofLowHalves } from '../rules.ts'
import { canonicalRules, compareSyscalls, syscallKey } from '../syscalls.ts'
import { widenPolicy } from '../widen.ts'

export interface OneList {
  readonly architectures: readonly ArchitectureName[]
  /** Named calls only, sorted. */
  readonly syscalls: readonly AllowedSyscall[]
}

/**
 * Throws EXPORT_IMPOSSIBLE where one list would allow another set: a call without a name, or one that an architecture has and only
 * another one's list allows.
 */
export function oneList(policy: PolicyDocument, names: Pick<SyscallNames, 'numberOf'>): OneList {
  // What was learned of arguments is as much of the policy as what stands there as rules.
  const lists = architecturesOf(widenPolicy(policy))
  if (lists.length === 0) throw impossible(policy, 'it allows nothing; learn the container first')
  const unnamed = lists.flatMap(([, { syscalls }]) => syscalls.filter(({ name }) => name === undefined))
  if (unnamed.length > 0) {
    const numbers = [...new Set(unnamed.map(({ number }) => number))].join(', ')
    throw impossible(
      policy,
      `a profile has no way to say syscall number ${numbers}, which had no name when it was learned; leave it out with --lossy`,
    )
  }
  const all = new Map<string, AllowedSyscall>()
  // The rules of the widest arguments are those that say it for all.
  const widest = lists.toSorted(([a], [b]) => ARGUMENT_BITS[a] - ARGUMENT_BITS[b])
  for (const [, { syscalls }] of widest) for (const syscall of syscalls) all.set(syscallKey(syscall), syscall)
  for (const [architecture, { syscalls }] of lists) {
    const own = new Map(syscalls.map((syscall) => [syscallKey(syscall), syscall]))
    for (const [name, syscall] of all) {
      if (names.numberOf(architecture, name) === undefined || sameRules(own.get(name), syscall, architecture)) continue
      if (lists.length === 1) {
        throw impossible(
          policy,
          `a profile compares the low halves of ${architecture} arguments, but a rule of ${name} looks at whole ones; give it masks of 0xffffffff`,
        )
      }
      const architectures = lists.map(([each]) => each).join(' and ')
      throw impossible(
        policy,
        `a profile has one list for all architectures, but the policy has a list each for ${architectures}, which differ in ${name}; choose one with --architecture`,
      )
    }
  }
  return { architectures: lists.map(([name]) => name), syscalls: [...all.values()].sort(compareSyscalls) }
}

/** libseccomp looks at the low halves of the arguments of architectures with 32 bits; the registers of x32 have more. */
function sameRules(own: AllowedSyscall | undefined, all: AllowedSyscall, architecture: ArchitectureName): boolean {
  if (own === undefined || (own.rules === undefined) !== (all.rules === undefined)) return false
  const [mine, common] = [own.rules ?? [], all.rules ?? []]
  const small = (rules: Comparison[][]) => rules.map((rule) => rule.map(narrowed))
  if (architecture === 'x32') return sameText(mine, ofLowHalves(small(common)))
  return ARGUMENT_BITS[architecture] === 32 ? sameText(small(mine), small(common)) : sameText(mine, common)
}

function sameText(a: Comparison[][], b: Comparison[][]): boolean {
  return JSON.stringify(canonicalRules(a)) === JSON.stringify(canonicalRules(b))
}

export function impossible(policy: PolicyDocument, reason: string): SandboxError {
  return new SandboxError('EXPORT_IMPOSSIBLE', `policy ${policy.name} cannot be exported: ${reason}`)
}
