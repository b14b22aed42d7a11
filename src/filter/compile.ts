/** Policy -> filter (classic BPF), through libseccomp; proved before it is handed out. */
import type { Filter, Seccomp } from 'seccomp-bpf-wasm'
import { oneLine, SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { decodeUint64 } from '../policy/uint64.ts'
import { listProblems } from '../validate.ts'
import { VIOLATION } from './actions.ts'
import { auditArch, numberSpaceEnd } from './architectures.ts'
import { type ResolvedArchitecture, resolvePolicy } from './evaluate.ts'
import { newerHead } from './newer.ts'
import { proveFilter } from './prove.ts'

/** BPF_MAXINSNS of linux/bpf_common.h: the most instructions of one filter. */
const MAX_INSTRUCTIONS = 4096

/** Syscall priorities of libseccomp (seccomp_syscall_priority(3)) are 8 bits. */
const MAX_PRIORITY = 255

/**
 * The filter of a policy: struct sock_filter[], little-endian. A pure function of its arguments and of libseccomp's version.
 * Throws POLICY_INVALID (names that are no syscalls), POLICY_EMPTY, FILTER_FAILED, FILTER_UNPROVED.
 */
export function compileFilter(seccomp: Seccomp, policy: PolicyDocument, violation: ViolationAction): Uint8Array {
  const unresolved: string[] = []
  const architectures = resolvePolicy(
    policy,
    (architecture, name) => seccomp.resolveName(architecture, name),
    unresolved,
  )
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
  const body = translate(seccomp, policy, architectures, violation)
  // "log" lets a violation pass, so newer calls pass as well.
  const head = violation === 'log' ? new Uint8Array() : newerHead(architectures.map(numbersOf))
  const program = new Uint8Array(head.length + body.length)
  program.set(head)
  program.set(body, head.length)
  const instructions = program.length / 8
  if (instructions > MAX_INSTRUCTIONS) {
    throw new SandboxError(
      'FILTER_FAILED',
      `policy ${policy.name} needs ${instructions} instructions, but the kernel takes ${MAX_INSTRUCTIONS}; use fewer argument rules`,
    )
  }
  proveFilter([program], policy.name, architectures, violation)
  return program
}

function numbersOf({ name, known, allowed }: ResolvedArchitecture) {
  const named = [...allowed.keys()].filter((number) => number > known)
  return { audit: auditArch(name), known, named, end: numberSpaceEnd(name) }
}

function translate(
  seccomp: Seccomp,
  policy: PolicyDocument,
  architectures: readonly ResolvedArchitecture[],
  violation: ViolationAction,
): Uint8Array {
  // One filter for each architecture, then merged: each has its own list, and a rule of one must not be translated to another.
  const filters: Filter[] = []
  const { action } = VIOLATION[violation]
  try {
    for (const architecture of architectures) {
      const filter = seccomp.filter({
        defaultAction: action,
        badArchAction: action,
        architectures: [architecture.name],
      })
      filters.push(filter)
      for (const [number, rules] of architecture.allowed) {
        for (const rule of rules ?? [[]]) {
          const comparisons = rule.map(({ index, op, value, mask }) => ({
            index: index as 0,
            op,
            value: decodeUint64(value),
            ...(mask === undefined ? {} : { mask: decodeUint64(mask) }),
          }))
          filter.addExact({ kind: 'allow' }, number, comparisons)
        }
      }
      for (const [number, priority] of priorities(policy, architecture)) filter.priority(number, priority)
    }
    const [first, ...others] = filters as [Filter, ...Filter[]]
    for (const other of others) first.merge(other)
    return first.toBPF()
  } catch (error) {
    throw new SandboxError('FILTER_FAILED', `policy ${policy.name} cannot be compiled: ${oneLine(error)}`, {
      cause: error,
    })
  } finally {
    for (const filter of filters) filter.free()
  }
}

/** Calls that are made often are looked at first: the rank of a call by its count. */
function priorities(policy: PolicyDocument, { name, allowed }: ResolvedArchitecture): [number, number][] {
  const counts = policy.architectures[name]?.syscalls.map(({ count }) => count ?? 0) ?? []
  const ranked = [...allowed.keys()].map((number, index) => [number, counts[index] ?? 0] as const)
  return ranked
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .slice(0, MAX_PRIORITY)
    .map(([number], rank) => [number, MAX_PRIORITY - rank])
}
