/** Policy -> the seccomp profile that runc, crun, Docker and podman read (runtime-spec, config-linux.md#seccomp). Pure. */
import type { AllowedSyscall, Comparison } from '../generated/policy.ts'
import type { ViolationAction } from '../oci/annotations.ts'
import { ARGUMENT_BITS, type ArchitectureName } from './document.ts'
import type { OneList } from './export/one-list.ts'
import { plainRules } from './ranges.ts'
import { decodeUint64 } from './uint64.ts'

export interface ProfileArgument {
  readonly index: number
  readonly value: bigint
  readonly valueTwo: bigint
  readonly op: string
}

export interface ProfileSyscall {
  readonly names: readonly string[]
  readonly action: 'SCMP_ACT_ALLOW'
  readonly args?: readonly ProfileArgument[]
}

export interface Profile {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  readonly architectures: readonly string[]
  readonly syscalls: readonly ProfileSyscall[]
}

export const SCMP_ARCH: Record<ArchitectureName, string> = {
  aarch64: 'SCMP_ARCH_AARCH64',
  arm: 'SCMP_ARCH_ARM',
  x32: 'SCMP_ARCH_X32',
  x86: 'SCMP_ARCH_X86',
  x86_64: 'SCMP_ARCH_X86_64',
}

const DEFAULT_ACTION: Record<ViolationAction, Pick<Profile, 'defaultAction' | 'defaultErrnoRet'>> = {
  errno: { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1 },
  kill: { defaultAction: 'SCMP_ACT_KILL_PROCESS' },
  log: { defaultAction: 'SCMP_ACT_LOG' },
}

const OPERATOR: Record<Exclude<Comparison['op'], 'range'>, string> = {
  '==': 'SCMP_CMP_EQ',
  '!=': 'SCMP_CMP_NE',
  '<': 'SCMP_CMP_LT',
  '<=': 'SCMP_CMP_LE',
  '>': 'SCMP_CMP_GT',
  '>=': 'SCMP_CMP_GE',
  'masked==': 'SCMP_CMP_MASKED_EQ',
}

export interface ExportOptions {
  readonly action: ViolationAction
  /** What the runtime calls itself before the program starts (ownCallsOf). Without it no runtime can start a container with the profile. */
  readonly runtimeCalls: readonly string[]
}

/**
 * The profile of a policy whose lists are one (oneList), so that nothing is widened. A profile has no ranges: each becomes as many entries as it
 * has aligned blocks. Throws EXPORT_IMPOSSIBLE where those are too many.
 */
export function exportOci({ architectures, syscalls }: OneList, { action, runtimeCalls }: ExportOptions): Profile {
  const whole = syscalls.filter(({ rules }) => rules === undefined).map(({ name }) => name as string)
  const names = [...new Set([...whole, ...runtimeCalls])].sort()
  const ruled = syscalls.filter(({ name }) => !names.includes(name as string))
  const [bits, ...others] = new Set(architectures.map((name) => ARGUMENT_BITS[name]))
  return {
    ...DEFAULT_ACTION[action],
    architectures: architectures.map((name) => SCMP_ARCH[name]),
    syscalls: [
      ...(names.length === 0 ? [] : [{ names, action: 'SCMP_ACT_ALLOW' as const }]),
      ...ruled.flatMap((call) => ruledSyscalls(call, others.length > 0 ? 'both' : (bits ?? 64))),
    ],
  }
}

function ruledSyscalls({ name, rules = [] }: AllowedSyscall, bits: 32 | 64 | 'both'): ProfileSyscall[] {
  const call = name as string
  return plainRules(rules, call, bits).map((rule) => ({
    names: [call],
    action: 'SCMP_ACT_ALLOW',
    args: rule.map(argument),
  }))
}

function argument({ index, op, value, mask }: Comparison): ProfileArgument {
  const operand = decodeUint64(value)
  // SCMP_CMP_MASKED_EQ: (argument & value) == valueTwo.
  const operator = OPERATOR[op as keyof typeof OPERATOR]
  if (mask !== undefined) return { index, value: decodeUint64(mask), valueTwo: operand, op: operator }
  return { index, value: operand, valueTwo: 0n, op: operator }
}
