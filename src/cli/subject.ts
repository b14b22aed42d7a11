/** What commands about filters work on: a policy, by name or in a file, or raw filters in files. */
import { existsSync, readFileSync } from 'node:fs'
import { oneLine, SandboxError } from '../errors.ts'
import { type ResolvedArchitecture, resolvePolicy } from '../filter/evaluate.ts'
import { compileSource, type PolicySource } from '../filter/lookup.ts'
import { decodeProgram, programProblem } from '../filter/program.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { printError } from '../host/output.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { encodePolicy } from '../policy/document.ts'
import type { Store } from '../policy/store.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { listProblems } from '../validate.ts'
import { loadSource } from './load.ts'

export interface PolicySubject {
  readonly kind: 'policy'
  readonly name: string
  readonly source: PolicySource
  readonly policy: PolicyDocument
  readonly architectures: readonly ResolvedArchitecture[]
}

export interface FilterSubject {
  readonly kind: 'filter'
  readonly name: string
  readonly programs: readonly Uint8Array[]
}

/** How commands' help texts say what they take. */
export const SUBJECT_HELP =
  'the name of a policy in the store, or a path with a slash: of a policy, of a seccomp profile as Docker, podman and runc take it\n' +
  '(or a config.json that has one), or of raw filters (FILE, and FILE.1, FILE.2 and so on where they are there, as oci-sandbox\n' +
  'compile writes them)'

/** `operand`: the name of a policy in the store, or a path with a slash. Throws POLICY_*, FILTER_INVALID, IMPORT_*, STORE_*. */
export async function loadSubject(store: Store, operand: string): Promise<PolicySubject | FilterSubject> {
  const kind = operand.includes('/') ? kindOf(operand) : 'policy'
  if (kind === 'filter') return { kind: 'filter', name: operand, programs: readFilters(operand) }
  return kind === 'profile' ? await loadProfile(operand) : await loadPolicySubject(store, operand)
}

/** Throws POLICY_*, STORE_*. */
export async function loadPolicySubject(store: Store, operand: string): Promise<PolicySubject> {
  const source = await loadSource(store, operand)
  const policy = source.decode()
  return { kind: 'policy', name: operand, source, policy, architectures: resolved(policy) }
}

/** What oci-sandbox import would make of it; names that no table knows are left out, and said. */
async function loadProfile(path: string): Promise<PolicySubject> {
  const { importFiles } = await import('./import.ts')
  const policy = await importFiles('oci', 'profile', [path], {
    text: () => undefined,
    flag: (option) => option === 'skip-unknown',
  })
  for (const note of policy.imports?.at(-1)?.notes ?? []) printError(`oci-sandbox: ${path}: not compared: ${note}\n`)
  const text = Buffer.from(encodePolicy(policy))
  const source = { name: policy.name, text, decode: () => policy }
  return { kind: 'policy', name: path, source, policy, architectures: resolved(policy) }
}

/** What a file holds. One that cannot be read is a policy: reading that says what is wrong. */
function kindOf(path: string): 'policy' | 'profile' | 'filter' {
  let text: string
  try {
    text = readFileSync(path).toString('latin1')
  } catch {
    return 'policy'
  }
  if (!/^\s*\{/.test(text)) return 'filter'
  return /"(defaultAction|ociVersion)"\s*:/.test(text) ? 'profile' : 'policy'
}

/** The programs in the order in which they are installed; a policy is compiled. */
export async function programsOf(
  subject: PolicySubject | FilterSubject,
  action: ViolationAction,
): Promise<readonly Uint8Array[]> {
  return subject.kind === 'filter' ? subject.programs : await compileSource(subject.source, action)
}

/** Raw filters: one file, and those that are numbered behind it. Throws FILTER_INVALID. */
export function readFilters(path: string): Uint8Array[] {
  const programs = [readFilter(path)]
  while (existsSync(`${path}.${programs.length}`)) programs.push(readFilter(`${path}.${programs.length}`))
  return programs
}

function readFilter(path: string): Uint8Array {
  let problem: string | undefined
  try {
    const bytes = readFileSync(path)
    problem = programProblem(decodeProgram(bytes))
    if (problem === undefined) return bytes
  } catch (error) {
    problem = oneLine(error)
  }
  throw new SandboxError('FILTER_INVALID', `${path} is no filter that the kernel takes: ${problem}`)
}

function resolved(policy: PolicyDocument): readonly ResolvedArchitecture[] {
  const unresolved: string[] = []
  const architectures = resolvePolicy(policy, SYSCALL_NAMES.numberOf, unresolved)
  if (unresolved.length > 0)
    throw new SandboxError(
      'POLICY_INVALID',
      `policy ${policy.name}: ${listProblems(unresolved)}; was it written by a newer version?`,
    )
  return architectures
}
