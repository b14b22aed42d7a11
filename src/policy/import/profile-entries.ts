/** The entries of a profile's /syscalls, each checked, with its conditions decided: those that do not hold here are noted. */
import type { Comparison } from '../../generated/policy.ts'
import { isObject, type Json } from '../../json.ts'
import { quote } from '../../validate.ts'
import type { ArchitectureName } from '../document.ts'
import { encodeUint64 } from '../uint64.ts'
import type { Collector } from './collector.ts'

export type Refuse = (problem: string) => never

/** What includes and excludes are decided with. */
export interface Conditions {
  readonly architecture: ArchitectureName
  /** CAP_... names. */
  readonly capabilities: ReadonlySet<string>
  /** As uname -r says it. */
  readonly kernel: string
}

export interface Entry {
  readonly at: string
  readonly names: readonly string[]
  readonly action: string
  readonly errno: Json | undefined
  /** Alternatives; undefined: any arguments. */
  readonly rules: Comparison[][] | undefined
}

/** GOARCH, by which Docker and podman compare. */
const GO_ARCHITECTURE: Readonly<Record<ArchitectureName, string>> = {
  aarch64: 'arm64',
  arm: 'arm',
  x32: 'amd64p32',
  x86: '386',
  x86_64: 'amd64',
}

const OPERATORS: Readonly<Record<string, Comparison['op']>> = {
  SCMP_CMP_EQ: '==',
  SCMP_CMP_NE: '!=',
  SCMP_CMP_LT: '<',
  SCMP_CMP_LE: '<=',
  SCMP_CMP_GT: '>',
  SCMP_CMP_GE: '>=',
  SCMP_CMP_MASKED_EQ: 'masked==',
}

const ENTRY_KEYS = new Set(['names', 'name', 'action', 'args', 'errnoRet', 'errno', 'comment', 'includes', 'excludes'])
const ARGUMENT_KEYS = new Set(['index', 'value', 'valueTwo', 'op'])
const CONDITION_KEYS = new Set(['arches', 'caps', 'minKernel'])

export function profileEntries(
  value: Json | undefined,
  conditions: Conditions,
  into: Collector,
  refuse: Refuse,
): Entry[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return refuse('/syscalls: expected a list')
  const entries: Entry[] = []
  for (const [index, item] of value.entries()) {
    const at = `/syscalls/${index}`
    if (!isObject(item)) return refuse(`${at}: expected an object`)
    // A key that is not known may be a condition: without it the entry would say more than it does.
    for (const key of Object.keys(item))
      if (!ENTRY_KEYS.has(key)) return refuse(`${at}: unknown key ${JSON.stringify(key)}`)
    const names = namesOf(item, at, refuse)
    if (typeof item.action !== 'string') return refuse(`${at}/action: expected SCMP_ACT_...`)
    const absent = unmet(item, at, conditions, refuse)
    if (absent !== undefined) {
      if (item.action === 'SCMP_ACT_ALLOW')
        for (const name of names) into.note(`calls with the condition ${absent}`, name)
      continue
    }
    const rules = rulesOf(item.args, `${at}/args`, refuse)
    entries.push({ at, names, action: item.action, errno: item.errno ?? item.errnoRet ?? undefined, rules })
  }
  return entries
}

function namesOf({ name, names }: { [key: string]: Json }, at: string, refuse: Refuse): string[] {
  const list = strings(names, `${at}/names`, refuse)
  if (name === undefined || name === null || name === '') return list
  if (typeof name !== 'string') return refuse(`${at}/name: expected a string`)
  return [...list, name]
}

function strings(value: Json | undefined, at: string, refuse: Refuse): string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
    return refuse(`${at}: expected a list of strings`)
  return value as string[]
}

/** Why the entry does not hold here, or undefined. All of includes must hold, and none of excludes (moby, profiles/seccomp). */
function unmet(item: { [key: string]: Json }, at: string, conditions: Conditions, refuse: Refuse): string | undefined {
  const parts = { includes: item.includes ?? {}, excludes: item.excludes ?? {} }
  for (const [kind, part] of Object.entries(parts)) {
    const place = `${at}/${kind}`
    if (!isObject(part)) return refuse(`${place}: expected an object`)
    for (const key of Object.keys(part))
      if (!CONDITION_KEYS.has(key)) return refuse(`${place}: unknown key ${JSON.stringify(key)}`)
    const arches = strings(part.arches, `${place}/arches`, refuse)
    const caps = strings(part.caps, `${place}/caps`, refuse)
    const here = arches.includes(GO_ARCHITECTURE[conditions.architecture])
    const { minKernel } = part
    if (
      minKernel !== undefined &&
      minKernel !== null &&
      !(typeof minKernel === 'string' && /^\d+(\.\d+)*$/.test(minKernel))
    )
      return refuse(`${place}/minKernel: expected a version`)
    const newEnough = typeof minKernel === 'string' ? atLeast(conditions.kernel, minKernel) : undefined
    if (kind === 'includes') {
      if (arches.length > 0 && !here) return `architecture ${arches.join(' or ')}`
      const missing = caps.filter((cap) => !conditions.capabilities.has(cap))
      if (missing.length > 0) return missing.join(' and ')
      if (newEnough === false) return `Linux ${minKernel} or newer`
    } else {
      if (here) return `any architecture but ${arches.join(', ')}`
      const held = caps.filter((cap) => conditions.capabilities.has(cap))
      if (held.length > 0) return `without ${held.join(' and ')}`
      if (newEnough === true) return `Linux before ${minKernel}`
    }
  }
  return undefined
}

function atLeast(kernel: string, least: string): boolean {
  const [have, want] = [kernel, least].map((text) => text.split(/[.-]/).slice(0, 2).map(Number))
  const [major = 0, minor = 0] = have ?? []
  const [wantMajor = 0, wantMinor = 0] = want ?? []
  return major > wantMajor || (major === wantMajor && minor >= wantMinor)
}

/** As runc reads them: all comparisons of an entry must hold, but where two look at one argument each is an alternative by itself. */
function rulesOf(value: Json | undefined, at: string, refuse: Refuse): Comparison[][] | undefined {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return undefined
  if (!Array.isArray(value)) return refuse(`${at}: expected a list`)
  const comparisons = value
    .filter((item) => item !== null)
    .map((item, index) => comparison(item, `${at}/${index}`, refuse))
  const alternatives = new Set(comparisons.map(({ index }) => index)).size < comparisons.length
  const rules = alternatives ? comparisons.map((one) => [one]) : [comparisons]
  // A mask without bits always holds; an entry that has nothing else is one without arguments (libseccomp, db.c).
  const conditions = rules.map((rule) => rule.filter(({ mask }) => mask === undefined || mask !== 0))
  return conditions.some((rule) => rule.length === 0) ? undefined : conditions
}

function comparison(item: Json, at: string, refuse: Refuse): Comparison {
  if (!isObject(item)) return refuse(`${at}: expected an object`)
  for (const key of Object.keys(item))
    if (!ARGUMENT_KEYS.has(key)) return refuse(`${at}: unknown key ${JSON.stringify(key)}`)
  const index = uint64(item.index, `${at}/index`, refuse)
  if (index > 5n) return refuse(`${at}/index: expected an argument from 0 to 5`)
  const op = typeof item.op === 'string' && Object.hasOwn(OPERATORS, item.op) ? OPERATORS[item.op] : undefined
  if (op === undefined) return refuse(`${at}/op: expected SCMP_CMP_..., found ${quote(item.op)}`)
  const value = encodeUint64(uint64(item.value, `${at}/value`, refuse))
  if (op !== 'masked==') return { index: Number(index), op, value }
  // SCMP_CMP_MASKED_EQ: (argument & value) == valueTwo.
  const second = encodeUint64(uint64(item.valueTwo, `${at}/valueTwo`, refuse))
  return { index: Number(index), op, value: second, mask: value }
}

/** What is absent is 0, as in Go. */
function uint64(value: Json | undefined, at: string, refuse: Refuse): bigint {
  if (value === undefined || value === null) return 0n
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) {
    const number = BigInt(value)
    if (number >= 0n && number < 1n << 64n) return number
  }
  return refuse(`${at}: expected an integer from 0 to 2^64 - 1`)
}
