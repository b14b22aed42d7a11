/** The filters that are compared: ours, libseccomp's own of the same policy, and the default profile of containers, as libseccomp has it. */
import { readFileSync } from 'node:fs'
import type { Comparison as SeccompComparison } from 'seccomp-bpf-wasm'
import { compileFilter } from '../src/filter/compile.ts'
import { seccompLibrary } from '../src/filter/library.ts'
import type { AllowedSyscall, Comparison, PolicyDocument } from '../src/generated/policy.ts'
import { POLICY_VERSION } from '../src/policy/document.ts'

/** Debian's golang-github-containers-common: podman's default, which follows Docker's. */
const DEFAULT_PROFILE = '/usr/share/containers/seccomp.json'

export function policyOf(syscalls: AllowedSyscall[]): PolicyDocument {
  const known = seccompLibrary().highest('x86_64')
  const architectures = { x86_64: { known, syscalls } }
  return { version: POLICY_VERSION, name: 'bench', complete: false, architectures, runs: [] }
}

/** The calls that a usual program makes: every sixth that there is, and those that the fixture needs. */
export function usualNames(count: number, except: readonly string[] = []): AllowedSyscall[] {
  const all = [...seccompLibrary().syscalls('x86_64').keys()]
  const needed = ['write', 'exit_group', 'clock_gettime', 'getppid']
  const spread = all.filter((name, index) => index % 6 === 0 && !needed.includes(name))
  const names = [...needed, ...spread].filter((name) => !except.includes(name))
  return names.slice(0, count).map((name) => ({ name }))
}

/** Values with gaps between them, as request codes and sizes have. */
export function values(count: number, index = 0): Comparison[][] {
  return Array.from({ length: count }, (_, value) => [{ index, op: '==', value: valueAt(value) }])
}

export function valueAt(index: number): number {
  return 0x5401 + 3 * index
}

export function ours(policy: PolicyDocument): readonly Uint8Array[] {
  return compileFilter(seccompLibrary(), policy, 'errno')
}

/** All of a policy, its rules as they are, in libseccomp's usual form or in its binary tree. */
export function libseccomps(policy: PolicyDocument, optimize: 1 | 2): readonly Uint8Array[] {
  const filter = newFilter(optimize)
  for (const { name, rules } of policy.architectures.x86_64?.syscalls ?? []) {
    for (const rule of rules ?? [[]]) filter.addExact({ kind: 'allow' }, name as string, rule.map(comparison))
  }
  return [filter.toBPF()]
}

/** The default profile for a container on x86-64 without extra capabilities. */
export function defaultProfile(): readonly Uint8Array[] {
  const library = seccompLibrary()
  const filter = newFilter(1)
  for (const { names, action, args, includes } of JSON.parse(readFileSync(DEFAULT_PROFILE, 'utf8')).syscalls) {
    const wanted = includes?.caps === undefined && (includes?.arches === undefined || includes.arches.includes('amd64'))
    if (action !== 'SCMP_ACT_ALLOW' || !wanted) continue
    for (const name of names) {
      if (library.resolveName('x86_64', name) !== undefined)
        filter.addExact({ kind: 'allow' }, name, (args ?? []).map(profileComparison))
    }
  }
  return [filter.toBPF()]
}

/** Allows everything: the least that a filter costs; where it reads an argument first, the least that a call costs for which it is run. */
export function allowAll(readsArgument = false): readonly Uint8Array[] {
  const program = Buffer.alloc(16)
  program.writeUInt16LE(0x20, 0) // BPF_LD | BPF_W | BPF_ABS
  program.writeUInt32LE(16, 4) // offsetof(struct seccomp_data, args)
  program.writeUInt16LE(0x06, 8) // BPF_RET | BPF_K
  program.writeUInt32LE(0x7fff_0000, 12) // SECCOMP_RET_ALLOW
  return [readsArgument ? program : program.subarray(8)]
}

function newFilter(optimize: 1 | 2) {
  const action = { kind: 'errno', errno: 1 } as const
  return seccompLibrary().filter({ defaultAction: action, architectures: ['x86_64'], optimize })
}

function comparison({ index, op, value, mask }: Comparison): SeccompComparison {
  return {
    index: index as 0,
    op: op as Exclude<typeof op, 'range'>,
    value: BigInt(value),
    ...(mask === undefined ? {} : { mask: BigInt(mask) }),
  }
}

const PROFILE_OPERATORS: Record<string, SeccompComparison['op']> = {
  SCMP_CMP_EQ: '==',
  SCMP_CMP_NE: '!=',
  SCMP_CMP_LT: '<',
  SCMP_CMP_LE: '<=',
  SCMP_CMP_GT: '>',
  SCMP_CMP_GE: '>=',
  SCMP_CMP_MASKED_EQ: 'masked==',
}

/** As the runtime-spec has it: with SCMP_CMP_MASKED_EQ `value` is the mask. */
function profileComparison(argument: { index: number; op: string; value: number; valueTwo?: number }) {
  const op = PROFILE_OPERATORS[argument.op] as SeccompComparison['op']
  const masked = op === 'masked=='
  return {
    index: argument.index as 0,
    op,
    value: BigInt((masked ? argument.valueTwo : argument.value) ?? 0),
    ...(masked ? { mask: BigInt(argument.value) } : {}),
  }
}
