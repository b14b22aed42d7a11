/** The ways of putting a policy into force, and which of them is taken. */
import { readFileSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'
import type { EnforceMethod } from '../decide/settings.ts'
import { SandboxError } from '../errors.ts'

/** At the program's execve, by the helper; in the bundle's linux.seccomp; as raw BPF in crun's annotation. */
export type Method = Exclude<EnforceMethod, 'auto'>

export interface MethodRequest {
  readonly asked: EnforceMethod
  /** The runtime's path; undefined where it is not known (precreate). */
  readonly runtime: string | undefined
  /** Whether the bundle has a linux.seccomp of its own. */
  readonly seccomp: boolean
  /** Whether this process may trace others. */
  readonly traces: boolean
}

/**
 * Throws NOT_PERMITTED where the host asks for crun's annotation and it would not hold: another runtime ignores it, and crun loads it in
 * place of the bundle's own filter, which may refuse more.
 */
export function chooseMethod({ asked, runtime, seccomp, traces }: MethodRequest): Method {
  const crun = runtime !== undefined && isCrun(runtime)
  if (asked === 'auto') {
    if (traces) return 'exec'
    return crun && !seccomp ? 'crun-bpf' : 'bundle'
  }
  if (asked === 'crun-bpf' && !(crun && !seccomp)) {
    const reason = crun
      ? 'the container has a linux.seccomp of its own, which crun would not load then; use enforce.method bundle or exec'
      : `the runtime ${runtime ?? ''} is not known to be crun; use enforce.method bundle or exec`
    throw new SandboxError(
      'NOT_PERMITTED',
      `enforce.method crun-bpf of the host configuration cannot be used: ${reason}`,
    )
  }
  return asked
}

function isCrun(runtime: string): boolean {
  return basename(realpathSync(runtime)) === 'crun'
}

/** CAP_SYS_PTRACE, include/uapi/linux/capability.h. */
const CAP_SYS_PTRACE = 19n

export function mayTrace(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return effective !== undefined && ((BigInt(`0x${effective}`) >> CAP_SYS_PTRACE) & 1n) === 1n
}
