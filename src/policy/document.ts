/**
 * The policy document: text <-> PolicyDocument. Decoding refuses whatever is not exactly a policy (schema/policy.schema.json and
 * what a schema cannot say), naming every bad place at once; encoding is deterministic to the byte.
 */
import { SandboxError } from '../errors.ts'
import { isPolicy } from '../generated/check.ts'
import type { AllowedSyscall, Architecture, Comparison, Import, PolicyDocument } from '../generated/policy.ts'
import { validators } from '../generated/validate.js'
import { parseObject } from '../json.ts'
import { type CompiledSchema, listProblems, schemaProblems } from '../validate.ts'
import { canonicalLearned, learnedProblems } from './learned.ts'
import { sortedLines } from './lines.ts'
import { migrated } from './migrations.ts'
import { canonicalPaths, earlierOf, pathProblems } from './paths.ts'
import { comparisonProblems } from './rules.ts'
import { canonicalRules, compareSyscalls, compareText, syscallKey } from './syscalls.ts'

/** The version of the format that this program writes; older ones are migrated when they are read (migrations.ts). */
export const POLICY_VERSION = 2

export type ArchitectureName = keyof PolicyDocument['architectures']

/** The size of a syscall's arguments, as libseccomp compares them. Bits. */
export const ARGUMENT_BITS: Readonly<Record<ArchitectureName, 32 | 64>> = {
  aarch64: 64,
  arm: 32,
  x32: 32,
  x86: 32,
  x86_64: 64,
}

/**
 * The bits of an argument that a filter sees: the kernel takes the low half of each register for calls of 32-bit ABIs, but x32 calls
 * are made in 64-bit mode, with whole registers (syscall_get_arguments of arch/x86/include/asm/syscall.h).
 */
export function registerBits(architecture: ArchitectureName): 32 | 64 {
  return architecture === 'x86' || architecture === 'arm' ? 32 : 64
}

/** The architectures of a document, sorted by name. */
export function architecturesOf(policy: PolicyDocument): [ArchitectureName, Architecture][] {
  const entries = Object.entries(policy.architectures) as [ArchitectureName, Architecture][]
  return entries.sort(([a], [b]) => compareText(a, b))
}

const POLICY: CompiledSchema = { isValid: isPolicy, validator: () => validators().validatePolicy }

/** Decodes a policy. `source` names it in messages (a path). Throws POLICY_INVALID. */
export function decodePolicy(text: string, source: string): PolicyDocument {
  const refuse = (problem: string, remedy = 'learn it again or restore it'): never => {
    throw new SandboxError('POLICY_INVALID', `policy ${source}: ${problem}; ${remedy}`)
  }
  const value = migrated(parseObject(text, refuse), POLICY_VERSION, refuse)
  const problems = schemaProblems(POLICY, value)
  if (problems !== undefined) return refuse(problems)
  const policy = value as unknown as PolicyDocument
  const beyond = semanticProblems(policy)
  if (beyond.length > 0) return refuse(listProblems(beyond))
  return canonicalPolicy(policy)
}

/** A policy with every list in its one order: equal policies are equal text. */
export function canonicalPolicy(policy: PolicyDocument): PolicyDocument {
  const architectures: PolicyDocument['architectures'] = {}
  for (const [name, { known, syscalls }] of architecturesOf(policy)) {
    architectures[name] = { known, syscalls: sorted(syscalls.map(canonicalSyscall), compareSyscalls) }
  }
  const runs = [...policy.runs].sort((a, b) => compareText(a.started, b.started) || compareText(a.id, b.id))
  const paths = policy.paths && canonicalPaths(policy.paths, earlierOf(runs))
  const imports = [...(policy.imports ?? [])].map(canonicalImport).sort(compareImports)
  return {
    version: POLICY_VERSION,
    name: policy.name,
    complete: runs.some((run) => run.complete),
    ...sortedLines('comments', policy.comments),
    ...(policy.widening === undefined ? {} : { widening: policy.widening }),
    architectures,
    ...(paths === undefined ? {} : { paths }),
    runs,
    ...(imports.length === 0 ? {} : { imports }),
  }
}

export function encodePolicy(policy: PolicyDocument): string {
  return `${pretty(canonicalPolicy(policy), '')}\n`
}

/** Key by key, and without sorting what is in order, as nearly every policy is: hooks wait for this. */
function canonicalSyscall(syscall: AllowedSyscall): AllowedSyscall {
  const { name, number, count, since, again, via, reasons, comments, widening, learned, rules } = syscall
  const canonical: AllowedSyscall = name === undefined ? { number: number as number } : { name }
  if (count !== undefined) canonical.count = count
  if (since !== undefined) canonical.since = since
  if (again !== undefined) canonical.again = again
  if (via !== undefined) canonical.via = via
  if (reasons !== undefined) Object.assign(canonical, sortedLines('reasons', reasons))
  if (comments !== undefined) Object.assign(canonical, sortedLines('comments', comments))
  if (widening !== undefined) canonical.widening = widening
  if (learned !== undefined) canonical.learned = canonicalLearned(learned)
  if (rules !== undefined) canonical.rules = canonicalRules(rules)
  return canonical
}

function sorted<T>(list: T[], compare: (a: T, b: T) => number): T[] {
  for (let at = 1; at < list.length; at++) {
    if (compare(list[at - 1] as T, list[at] as T) > 0) return list.sort(compare)
  }
  return list
}

function canonicalImport({ format, source, digest, date, notes }: Import): Import {
  return {
    format,
    ...(source === undefined ? {} : { source }),
    digest,
    date,
    ...(notes === undefined || notes.length === 0 ? {} : { notes: [...new Set(notes)].sort() }),
  }
}

function compareImports(a: Import, b: Import): number {
  return compareText(a.date, b.date) || compareText(importKey(a), importKey(b))
}

/** What tells one import from another: all but its date. */
export function importKey({ date: _, ...rest }: Import): string {
  return JSON.stringify(rest)
}

/** What the schema cannot say. */
function semanticProblems(policy: PolicyDocument): string[] {
  const problems: string[] = []
  for (const [architecture, { syscalls }] of architecturesOf(policy)) {
    const seen = new Set<string>()
    for (const [index, syscall] of syscalls.entries()) {
      const { name, number, learned, rules } = syscall
      // Most calls have no problem, and need no place to tell of one.
      const at = () => `/architectures/${architecture}/syscalls/${index}`
      const key = syscallKey(syscall)
      if ((name === undefined) === (number === undefined)) problems.push(`${at()}: expected either a name or a number`)
      if (seen.has(key)) problems.push(`${at()}: ${JSON.stringify(key)} stands in the list twice`)
      seen.add(key)
      if (learned !== undefined) problems.push(...learnedProblems(learned, `${at()}/learned`))
      for (const [place, rule] of rules?.entries() ?? [])
        problems.push(...ruleProblems(rule, ARGUMENT_BITS[architecture], `${at()}/rules/${place}`))
    }
  }
  problems.push(...pathProblems(policy.paths))
  const ids = new Set(policy.runs.map(({ id }) => id))
  if (ids.size < policy.runs.length) problems.push('/runs: two runs have the same id')
  if (policy.complete !== policy.runs.some((run) => run.complete)) {
    problems.push(`/complete: is ${policy.complete}, but the runs say ${!policy.complete}`)
  }
  return problems
}

function* ruleProblems(rule: Comparison[], bits: number, at: string): Generator<string> {
  // One comparison per argument: runtimes read several on one argument as alternatives, which would widen the policy.
  if (new Set(rule.map(({ index }) => index)).size < rule.length) yield `${at}: compares one argument twice`
  for (const [index, comparison] of rule.entries()) yield* comparisonProblems(comparison, bits, `${at}/${index}`)
}

/** Short values on one line, others a line for each member: a new syscall is one new line in a diff. */
function pretty(value: unknown, indent: string): string {
  const flat = JSON.stringify(value)
  const leaf = typeof value !== 'object' || value === null
  if (leaf || (flat.length <= 120 && indent.length >= 4)) return spaced(value)
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    return value.length === 0 ? '[]' : `[\n${value.map((item) => inner + pretty(item, inner)).join(',\n')}\n${indent}]`
  }
  const members = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${pretty(item, inner)}`)
  return members.length === 0 ? '{}' : `{\n${members.join(',\n')}\n${indent}}`
}

function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${spaced(item)}`)
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`
}
