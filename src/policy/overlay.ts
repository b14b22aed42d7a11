/** Changes by hand that can be made again on every newer version of a policy: an intersection, a deny-list, an allow-list. Pure. */
import { SandboxError } from '../errors.ts'
import type { AllowedSyscall, Comparison, PolicyDocument } from '../generated/policy.ts'
import { isObject, type Json, parseObject } from '../json.ts'
import { type ArchitectureName, architecturesOf, canonicalPolicy, decodePolicy, POLICY_VERSION } from './document.ts'
import { intersectPolicies } from './intersect.ts'
import type { SyscallNames } from './names.ts'

export interface Allow {
  readonly name: string
  readonly reason: string
  readonly rules?: Comparison[][]
}

export interface Overlay {
  /** Paths of profiles or policies; what they do not allow goes. */
  readonly intersect: readonly string[]
  /** Names that go. */
  readonly deny: readonly string[]
  /** Names that come, each with a reason. */
  readonly allow: readonly Allow[]
}

const KEYS = ['intersect', 'deny', 'allow']
const NAME = /^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/
const MAX_REASON = 1024

/** Decodes an overlay; whatever is wrong goes to `refuse`, with its place. */
export function decodeOverlay(text: string, refuse: (problem: string) => never): Overlay {
  const value = parseObject(text, refuse)
  for (const key of Object.keys(value)) if (!KEYS.includes(key)) return refuse(`/: unknown key ${JSON.stringify(key)}`)
  const { intersect = [], deny = [], allow = [] } = value
  const overlay = {
    intersect: strings(typeof intersect === 'string' ? [intersect] : intersect, '/intersect', refuse),
    deny: strings(deny, '/deny', refuse),
    allow: Array.isArray(allow)
      ? allow.map((item, index) => decodeAllow(item, `/allow/${index}`, refuse))
      : refuse('/allow: expected a list'),
  }
  const denied = overlay.allow.find(({ name }) => overlay.deny.includes(name))
  return denied === undefined ? overlay : refuse(`/allow: ${denied.name} is also in /deny`)
}

function strings(value: Json, at: string, refuse: (problem: string) => never): string[] {
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
    return refuse(`${at}: expected a list of strings`)
  return value as string[]
}

function decodeAllow(value: Json, at: string, refuse: (problem: string) => never): Allow {
  if (!isObject(value)) return refuse(`${at}: expected an object with name and reason`)
  const { name, reason, rules } = value
  for (const key of Object.keys(value))
    if (!['name', 'reason', 'rules'].includes(key)) return refuse(`${at}: unknown key ${JSON.stringify(key)}`)
  if (typeof name !== 'string' || !NAME.test(name)) return refuse(`${at}/name: expected the name of a call`)
  if (typeof reason !== 'string' || reason.trim() === '' || reason.length > MAX_REASON)
    return refuse(`${at}/reason: expected why ${name} is allowed, in up to ${MAX_REASON} characters`)
  if (rules !== undefined && !Array.isArray(rules)) return refuse(`${at}/rules: expected rules, as in a policy`)
  return { name, reason, ...(rules === undefined ? {} : { rules: decodeRules(name, rules, at, refuse) }) }
}

/** As a policy has them: checked where policies are. */
function decodeRules(name: string, rules: Json[], at: string, refuse: (problem: string) => never): Comparison[][] {
  const architectures = { x86_64: { known: 0, syscalls: [{ name, rules }] } }
  const whole = { version: POLICY_VERSION, name: 'overlay', complete: false, architectures, runs: [] }
  const text = JSON.stringify(whole, (_, value) => (typeof value === 'bigint' ? String(value) : value))
  try {
    return decodePolicy(text, 'of the rules').architectures.x86_64?.syscalls[0]?.rules ?? []
  } catch (error) {
    if (error instanceof SandboxError) return refuse(`${at}/rules: ${error.message}`)
    throw error
  }
}

/** The policy under the overlay, and what that did. `unknown` gets names that are no calls of any architecture of the policy. */
export function applyOverlay(
  policy: PolicyDocument,
  overlay: Overlay,
  others: readonly PolicyDocument[],
  names: Pick<SyscallNames, 'numberOf'>,
  unknown: (problem: string) => void,
): { policy: PolicyDocument; notes: string[] } {
  const notes: string[] = []
  const narrowed = others.reduce((result, other) => intersectPolicies(result, other, notes), policy)
  const lists = architecturesOf(narrowed)
  const isCall = (name: string) => lists.some(([architecture]) => names.numberOf(architecture, name) !== undefined)
  for (const name of [...overlay.deny, ...overlay.allow.map((one) => one.name)])
    if (!isCall(name))
      unknown(`${name} is no call of ${lists.map(([architecture]) => architecture).join(' or ') || 'the policy'}`)
  const architectures: PolicyDocument['architectures'] = {}
  for (const [architecture, { known, syscalls }] of lists) {
    // A call that had no name when it was learned stands in the list by its number.
    const denied = ({ name, number }: AllowedSyscall) =>
      overlay.deny.find((one) => one === name || (number !== undefined && names.numberOf(architecture, one) === number))
    const kept = syscalls.filter((call) => denied(call) === undefined)
    for (const call of syscalls) {
      const name = denied(call)
      if (name !== undefined) notes.push(`${name} (${architecture}): denied`)
    }
    const calls = new Map(kept.map((call) => [call.name ?? call.number, call]))
    for (const allow of overlay.allow) {
      if (names.numberOf(architecture, allow.name) === undefined) continue
      calls.set(allow.name, allowed(calls.get(allow.name), allow))
      notes.push(`${allow.name} (${architecture}): allowed: ${allow.reason}`)
    }
    architectures[architecture as ArchitectureName] = { known, syscalls: [...calls.values()] }
  }
  return { policy: canonicalPolicy({ ...narrowed, architectures }), notes }
}

function allowed(call: AllowedSyscall | undefined, { name, reason, rules }: Allow): AllowedSyscall {
  const { rules: own, learned, via: _, reasons = [], ...plain } = call ?? { name }
  const rest = { ...plain, reasons: [...reasons, reason] }
  if (rules === undefined || (call !== undefined && own === undefined && learned === undefined)) return rest
  return { ...rest, ...(learned === undefined ? {} : { learned }), rules: [...(own ?? []), ...rules] }
}

/** The policy without what nothing says that the program needs: siblings, and imported calls that no run made and nobody gave a reason. */
export function minimised(
  policy: PolicyDocument,
  always: (architecture: ArchitectureName) => readonly string[],
): { policy: PolicyDocument; removed: string[] } {
  const removed: string[] = []
  const architectures: PolicyDocument['architectures'] = {}
  for (const [architecture, { known, syscalls }] of architecturesOf(policy)) {
    const needed = (call: AllowedSyscall) =>
      call.via === undefined &&
      (call.since !== undefined || call.reasons !== undefined || always(architecture).includes(call.name ?? ''))
    removed.push(
      ...syscalls.filter((call) => !needed(call)).map((call) => `${call.name ?? `#${call.number}`} (${architecture})`),
    )
    architectures[architecture] = { known, syscalls: syscalls.filter(needed) }
  }
  return { policy: canonicalPolicy({ ...policy, architectures }), removed }
}
