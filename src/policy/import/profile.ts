/**
 * A seccomp profile of the OCI kind -> calls: linux.seccomp of the runtime-spec, and what Docker, podman, Kubernetes, SPO and
 * oci-seccomp-bpf-hook write, with Docker's archMap, includes and excludes. What it comes to is what runc makes of it.
 */
import type { Comparison } from '../../generated/policy.ts'
import { isObject, type Json } from '../../json.ts'
import { quote } from '../../validate.ts'
import type { ArchitectureName } from '../document.ts'
import { disjoint } from '../rules.ts'
import { encodeUint64 } from '../uint64.ts'
import { addRest, type Collector } from './collector.ts'
import { type Conditions, type Entry, profileEntries, type Refuse } from './profile-entries.ts'

/** The architectures of a profile that a policy can have. */
const ARCHITECTURES: Readonly<Record<string, ArchitectureName>> = {
  SCMP_ARCH_AARCH64: 'aarch64',
  SCMP_ARCH_ARM: 'arm',
  SCMP_ARCH_X32: 'x32',
  SCMP_ARCH_X86: 'x86',
  SCMP_ARCH_X86_64: 'x86_64',
}

const TOP_LEVEL = new Set([
  ...['defaultAction', 'defaultErrnoRet', 'defaultErrno', 'architectures', 'archMap', 'flags', 'syscalls'],
  ...['listenerPath', 'listenerMetadata'],
])

/** What a violation gets in a profile, where it is what a policy's violation can get as well. */
const REFUSES = /^SCMP_ACT_(?:ERRNO|KILL|KILL_THREAD|KILL_PROCESS|TRAP)$/
const PASSES = /^SCMP_ACT_(?:ALLOW|LOG)$/
const KNOWN = /^SCMP_ACT_(?:ALLOW|LOG|ERRNO|KILL|KILL_THREAD|KILL_PROCESS|TRAP|TRACE|NOTIFY)$/

const EPERM = 1

/** Reads a decoded profile. `refuse` gets what no profile has, as "/pointer: problem". */
export function readProfile(value: Json, into: Collector, conditions: Conditions, refuse: Refuse): void {
  const profile = unwrap(value, refuse)
  const { defaultAction } = profile
  if (typeof defaultAction !== 'string' || !KNOWN.test(defaultAction))
    refuse(`/defaultAction: expected SCMP_ACT_..., found ${quote(defaultAction)}`)
  for (const key of Object.keys(profile)) if (!TOP_LEVEL.has(key)) into.note('keys that say nothing here', key)
  noteDefaults(profile, into)
  const architectures = architecturesOf(profile, conditions.architecture, into, refuse)
  const entries = profileEntries(profile.syscalls, conditions, into, refuse)
  for (const entry of entries)
    if (!KNOWN.test(entry.action)) refuse(`${entry.at}/action: ${quote(entry.action)} is no action`)
  const calls = byName(entries, ({ action, errno }) => action === defaultAction && sameErrno(errno, profile))
  for (const architecture of architectures) {
    into.architecture(architecture)
    if (defaultAction === 'SCMP_ACT_ALLOW') allowAllBut(architecture, calls, into)
    else allowListed(architecture, calls, into)
  }
}

/** The entries of each call, in their order, without those that say what the default says. */
function byName(entries: readonly Entry[], isDefault: (entry: Entry) => boolean): Map<string, Entry[]> {
  const calls = new Map<string, Entry[]>()
  for (const entry of entries) {
    if (isDefault(entry)) continue
    for (const name of entry.names) calls.set(name, [...(calls.get(name) ?? []), entry])
  }
  return calls
}

function sameErrno(errno: Json | undefined, { defaultErrno, defaultErrnoRet }: { [key: string]: Json }): boolean {
  const plain = (value: Json | undefined) =>
    value === undefined || value === null || value === 'EPERM' ? EPERM : value
  return plain(errno) === plain(defaultErrno ?? defaultErrnoRet)
}

/** The profile itself, also where the file is a whole config.json. */
function unwrap(value: Json, refuse: Refuse): { [key: string]: Json } {
  if (!isObject(value)) return refuse('/: expected a JSON object')
  const inner = isObject(value.linux) ? value.linux.seccomp : undefined
  return value.defaultAction === undefined && isObject(inner) ? inner : value
}

function noteDefaults(profile: { [key: string]: Json }, into: Collector): void {
  const { defaultAction, flags, listenerPath } = profile
  const errno = profile.defaultErrnoRet ?? profile.defaultErrno
  if (defaultAction === 'SCMP_ACT_LOG')
    into.note('SCMP_ACT_LOG lets everything pass; the list is taken for what is allowed')
  else if (defaultAction !== 'SCMP_ACT_ALLOW' && !REFUSES.test(defaultAction as string))
    into.note(`what a violation gets is the policy's action, not ${defaultAction}`)
  if (errno !== undefined && errno !== null && errno !== EPERM && errno !== 'EPERM')
    into.note(`what a violation gets is the policy's action, not errno ${String(errno)}`)
  if (Array.isArray(flags) && flags.length > 0) into.note('flags', flags.map(String).join(' '))
  if (typeof listenerPath === 'string' && listenerPath !== '') into.note('the listener of notifications')
}

/** As Docker resolves them: archMap's entry of the native one; or the list; or the native one alone. */
function architecturesOf(
  profile: { [key: string]: Json },
  native: ArchitectureName,
  into: Collector,
  refuse: Refuse,
): Set<ArchitectureName> {
  const { architectures, archMap } = profile
  let names: Json[] = []
  if (Array.isArray(architectures) && architectures.length > 0) {
    if (Array.isArray(archMap) && archMap.length > 0) return refuse('/archMap: stands beside /architectures')
    names = architectures
  } else if (Array.isArray(archMap)) {
    const found = archMap.filter(isObject).find(({ architecture }) => ARCHITECTURES[String(architecture)] === native)
    if (found !== undefined) {
      const { subArchitectures } = found
      names = [found.architecture as Json, ...(Array.isArray(subArchitectures) ? subArchitectures : [])]
    }
  } else if ((architectures ?? archMap ?? null) !== null) return refuse('/architectures: expected a list')
  const result = new Set<ArchitectureName>()
  for (const name of names) {
    const architecture = Object.hasOwn(ARCHITECTURES, String(name)) ? ARCHITECTURES[String(name)] : undefined
    if (architecture !== undefined) result.add(architecture)
    else into.note('architectures that policies do not have', String(name).slice(0, 64))
  }
  if (result.size === 0 && names.length > 0)
    return refuse(`/architectures: none of ${names.map(String).join(', ').slice(0, 200)} is one that policies have`)
  return result.size === 0 ? new Set([native]) : result
}

/**
 * What libseccomp makes of the entries of one call, in their order: the first one without arguments decides alone (db.c,
 * db_rule_add: an entry without arguments takes the place of those with some, and no later one changes it). Runtimes leave out
 * entries that say what the default says.
 */
function effective(
  entries: readonly Entry[],
): { decides: Entry } | { passing: Comparison[][]; refused: Comparison[][] } {
  const decides = entries.find(({ rules }) => rules === undefined)
  if (decides !== undefined) return { decides }
  const rulesOf = (kind: boolean) =>
    entries.filter(({ action }) => PASSES.test(action) === kind).flatMap(({ rules = [] }) => rules)
  return { passing: rulesOf(true), refused: rulesOf(false) }
}

function allowListed(architecture: ArchitectureName, calls: ReadonlyMap<string, Entry[]>, into: Collector): void {
  for (const [name, entries] of calls) {
    const at = (entries[0] as Entry).at
    const found = effective(entries)
    if ('decides' in found) {
      if (PASSES.test(found.decides.action)) into.add(architecture, name, at)
      else if (!into.names.exists(name)) into.add(architecture, name, at)
    } else if (found.passing.some((rule) => found.refused.some((other) => !disjoint(rule, other))))
      into.note('calls that are allowed and refused with the same arguments (left out)', name)
    else if (found.passing.length > 0) into.add(architecture, name, at, { rules: found.passing })
    for (const entry of entries) noteAction(entry, name, into)
  }
}

/** An action that is another one than a policy has. */
function noteAction({ action, errno }: Entry, name: string, into: Collector): void {
  if (action === 'SCMP_ACT_ALLOW') return
  if (action === 'SCMP_ACT_LOG') {
    into.note('calls that are allowed and logged there, and only allowed here', name)
    return
  }
  if (action === 'SCMP_ACT_ERRNO' && (errno === undefined || errno === EPERM || errno === 'EPERM')) return
  const says = action === 'SCMP_ACT_ERRNO' ? `errno ${String(errno).slice(0, 32)}` : action
  into.note(`calls that get ${says} there, and the policy's action here`, name)
}

/** A profile that allows by default: every call that has a name, less those that it refuses. */
function allowAllBut(architecture: ArchitectureName, calls: ReadonlyMap<string, Entry[]>, into: Collector): void {
  into.note('the profile allows by default: calls that have no name yet are refused here')
  for (const [name, entries] of calls) {
    if (!into.names.exists(name)) into.add(architecture, name, (entries[0] as Entry).at)
    for (const entry of entries) noteAction(entry, name, into)
  }
  const isRefused = (name: string) => (calls.get(name) ?? []).some(({ action }) => !PASSES.test(action))
  for (const name of into.names.all(architecture)) {
    const entries = calls.get(name)
    const found = effective(entries ?? [])
    if ('decides' in found) {
      if (PASSES.test(found.decides.action)) into.add(architecture, name, found.decides.at)
      continue
    }
    const rules = complement(found.refused)
    if (found.refused.length === 0) addRest(into, architecture, name, '/defaultAction', isRefused)
    else if (rules !== undefined) into.add(architecture, name, '/syscalls', { rules })
    else into.note('calls that are refused with certain arguments in a way that a policy cannot say (left out)', name)
  }
}

const OPPOSITE = { '==': '!=', '!=': '==', '<': '>=', '>=': '<', '>': '<=', '<=': '>' } as const

/** The rules that hold where the refused one does not: for one rule, of comparisons that have an opposite; else undefined. */
function complement([refused, ...more]: readonly Comparison[][]): Comparison[][] | undefined {
  if (refused === undefined || more.length > 0) return undefined
  const rules: Comparison[][] = []
  for (const { index, op, value, mask } of refused) {
    // Profiles have no ranges.
    if (op === 'range') return undefined
    if (op !== 'masked==') rules.push([{ index, op: OPPOSITE[op], value }])
    else {
      const bit = BigInt(mask ?? 0)
      // One bit that is not set is a bit that is set.
      if (bit === 0n || (bit & (bit - 1n)) !== 0n) return undefined
      const other = BigInt(value) === 0n ? bit : 0n
      rules.push([{ index, op, value: encodeUint64(other), mask: encodeUint64(bit) }])
    }
  }
  return rules
}
