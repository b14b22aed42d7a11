/**
 * Policy -> programs (classic BPF), proved before they are handed out. libseccomp knows the numbers and translates the calls; argument
 * rules that are many, or that it does not translate rightly, and numbers that are newer than the policy, are laid out by layout/.
 */
import type { Filter, Seccomp } from 'seccomp-bpf-wasm'
import { oneLine, SandboxError } from '../errors.ts'
import type { Comparison, PolicyDocument } from '../generated/policy.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { type ArchitectureName, registerBits } from '../policy/document.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { decodeUint64 } from '../policy/uint64.ts'
import { listProblems } from '../validate.ts'
import { VIOLATION } from './actions.ts'
import { auditArch, numberSpaceEnd, numberSpaceStart } from './architectures.ts'
import { type ResolvedArchitecture, resolvePolicy } from './evaluate.ts'
import type { Abi, RuledCall } from './layout/abi.ts'
import { layOut } from './layout/layout.ts'
import { domainsOf, ruleOf } from './layout/rules.ts'
import { proveFilter } from './prove.ts'

/** Syscall priorities of libseccomp (seccomp_syscall_priority(3)) are 8 bits. */
const MAX_PRIORITY = 255

/** Calls with more comparisons are laid out by us: libseccomp makes one test after the other. */
const FEW = 8
/** All such calls are, where libseccomp would make more tests than this for them. */
const FEW_IN_ALL = 256

/**
 * Calls of x86 (recvmmsg, sendmmsg, the socket calls from socket to shutdown, System V's from semget to msgctl) that libseccomp also takes
 * for requests of socketcall and ipc: it would allow both ways, and the policy names one.
 */
const TWO_WAYS: readonly [first: number, last: number][] = [
  [337, 337],
  [345, 345],
  [359, 373],
  [393, 402],
]

/** What whoever installs programs one after the other calls between two of them. */
const INSTALLING = ['seccomp', 'prctl']

/**
 * What of compileFilter() needs no libseccomp: who must wait for that does this in the meantime. Throws POLICY_INVALID (names that are no
 * syscalls), POLICY_EMPTY, FILTER_TOO_LARGE.
 */
export function prepareFilter(policy: PolicyDocument, violation: ViolationAction): (seccomp: Seccomp) => Uint8Array[] {
  const unresolved: string[] = []
  const architectures = resolvePolicy(policy, SYSCALL_NAMES.numberOf, unresolved)
  if (unresolved.length > 0) {
    throw new SandboxError(
      'POLICY_INVALID',
      `policy ${policy.name}: ${listProblems(unresolved)}; was it written by a newer version?`,
    )
  }
  if (architectures.every(({ allowed }) => allowed.size === 0)) {
    throw new SandboxError(
      'POLICY_EMPTY',
      `policy ${policy.name} allows nothing, as no run has been learned that got as far as its program; learn the container first`,
    )
  }
  const shared = share(policy, architectures, violation)
  const abis = shared.map(({ abi }) => abi)
  const finish = layOut(policy.name, abis, VIOLATION[violation].returns)
  return (seccomp) => {
    const programs = finish(translate(seccomp, policy.name, shared, violation))
    proveFilter(programs, policy.name, architectures, violation)
    return programs
  }
}

/**
 * The programs of a policy, each struct sock_filter[], little-endian, in the order in which they are to be installed: the kernel runs all
 * of them, and each but the last one lets pass what is not its own. A pure function of its arguments and of libseccomp's version. Throws
 * POLICY_INVALID (names that are no syscalls), POLICY_EMPTY, FILTER_FAILED, FILTER_TOO_LARGE, FILTER_UNPROVED.
 */
export function compileFilter(seccomp: Seccomp, policy: PolicyDocument, violation: ViolationAction): Uint8Array[] {
  return prepareFilter(policy, violation)(seccomp)
}

/** One architecture, divided between libseccomp and us. */
interface Shared {
  readonly architecture: ResolvedArchitecture
  /** The calls that libseccomp translates, by number; null: any arguments. */
  readonly translated: ReadonlyMap<number, readonly Comparison[][] | null>
  readonly abi: Abi
}

function share(
  policy: PolicyDocument,
  architectures: readonly ResolvedArchitecture[],
  violation: ViolationAction,
): Shared[] {
  let easy = 0
  for (const { name, allowed } of architectures)
    for (const number of allowed.keys()) {
      const rules = allowed.get(number)
      if (rules && isEasy(name, number, rules)) easy += comparisons(rules)
    }
  const few = easy <= FEW_IN_ALL
  return architectures.map((architecture) => {
    const { name, allowed, known } = architecture
    const weights = weightsOf(policy, architecture)
    const domains = domainsOf(registerBits(name))
    const translated = new Map<number, readonly Comparison[][] | null>()
    const named = new Map<number, number>()
    const ruled: RuledCall[] = []
    for (const number of [...allowed.keys()].sort((a, b) => a - b)) {
      const rules = allowed.get(number) ?? null
      const weight = weights.get(number) as number
      if (isEasy(name, number, rules) && (few || rules === null)) {
        translated.set(number, rules)
        named.set(number, weight)
      } else {
        const called = SYSCALL_NAMES.nameOf(name, number)
        ruled.push({
          label: `${name} ${called ?? number}`,
          number,
          weight,
          last: called !== undefined && INSTALLING.includes(called),
          rules: (rules ?? [[]]).map((rule) => ruleOf(rule, domains)).filter((rule) => rule !== undefined),
          domains,
        })
      }
    }
    const abi: Abi = {
      audit: auditArch(name),
      start: numberSpaceStart(name),
      end: numberSpaceEnd(name),
      // "log" lets a violation pass, so newer calls pass as well.
      known: violation === 'log' ? undefined : known,
      named,
      ruled,
    }
    return { architecture, translated, abi }
  })
}

/** Whether libseccomp translates a call rightly, and its rules not much longer than we would: few, of == and masked== alone. */
function isEasy(architecture: ArchitectureName, number: number, rules: readonly Comparison[][] | null): boolean {
  if (architecture === 'x86' && TWO_WAYS.some(([first, last]) => number >= first && number <= last)) return false
  if (rules === null) return true
  return (
    architecture !== 'x32' && // of whose arguments it compares the low halves alone
    comparisons(rules) <= FEW &&
    rules.every((rule) => new Set(rule.map(({ index }) => index)).size === rule.length && rule.every(isEqual))
  )
}

function isEqual({ op, value, mask }: Comparison): boolean {
  // libseccomp refuses bits outside the mask: such a comparison never holds.
  return op === '==' || (op === 'masked==' && (decodeUint64(value) & ~decodeUint64(mask ?? 0)) === 0n)
}

function comparisons(rules: readonly Comparison[][] | null): number {
  return (rules ?? []).reduce((sum, rule) => sum + rule.length, 0)
}

/** The counts of an architecture's calls, by number; each has at least half of what all have on average, so that none lies very deep. */
function weightsOf(policy: PolicyDocument, { name, allowed }: ResolvedArchitecture): Map<number, number> {
  const syscalls = policy.architectures[name]?.syscalls ?? []
  let all = 0
  for (const { count = 0 } of syscalls) all += count
  const floor = Math.max(1, all / (2 * Math.max(1, syscalls.length)))
  const weights = new Map<number, number>()
  for (const number of allowed.keys()) weights.set(number, (syscalls[weights.size]?.count ?? 0) + floor)
  return weights
}

/** libseccomp's program. Calls that it is not told of are decided before it, or in another program. */
function translate(
  seccomp: Seccomp,
  policy: string,
  shared: readonly Shared[],
  violation: ViolationAction,
): Uint8Array {
  // One filter for each architecture, then merged: each has its own list, and a rule of one must not be translated to another.
  const filters: Filter[] = []
  const { action } = VIOLATION[violation]
  try {
    for (const { architecture, translated, abi } of shared) {
      const filter = seccomp.filter({
        defaultAction: action,
        badArchAction: action,
        architectures: [architecture.name],
      })
      filters.push(filter)
      const priorities = prioritiesOf(abi.named)
      const calls: [number: number, priority: number][] = []
      for (const [number, rules] of translated) {
        const priority = priorities.get(number) ?? 0
        if (rules === null) {
          calls.push([number, priority])
          continue
        }
        for (const rule of rules) {
          const comparisons = rule.map(({ index, op, value, mask }) => ({
            index: index as 0,
            op: op as Exclude<typeof op, 'range'>,
            value: decodeUint64(value),
            ...(mask === undefined ? {} : { mask: decodeUint64(mask) }),
          }))
          filter.addExact({ kind: 'allow' }, number, comparisons)
        }
        filter.priority(number, priority)
      }
      filter.addCalls({ kind: 'allow' }, calls)
    }
    const [first, ...others] = filters as [Filter, ...Filter[]]
    for (const other of others) first.merge(other)
    return first.toBPF()
  } catch (error) {
    throw new SandboxError('FILTER_FAILED', `policy ${policy} cannot be compiled: ${oneLine(error)}`, {
      cause: error,
    })
  } finally {
    for (const filter of filters) filter.free()
  }
}

/** Calls that are made often are looked at first: the rank of a call by its weight. */
function prioritiesOf(named: ReadonlyMap<number, number>): Map<number, number> {
  const weightOf = (number: number) => named.get(number) as number
  const least = Math.min(...named.values())
  const first = [...named.keys()].filter((number) => weightOf(number) > least).sort((a, b) => weightOf(b) - weightOf(a))
  const priorities = new Map<number, number>()
  for (const number of first.slice(0, MAX_PRIORITY)) priorities.set(number, MAX_PRIORITY - priorities.size)
  return priorities
}
