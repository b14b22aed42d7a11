/** A file that holds a set of calls to compare with: a policy of ours, or a seccomp profile. */
import { release } from 'node:os'
import { SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { sha256 } from '../host/hash.ts'
import { parseObject } from '../json.ts'
import { decodePolicy } from '../policy/document.ts'
import { Collector } from '../policy/import/collector.ts'
import { policyOfImport } from '../policy/import/policy.ts'
import { readProfile } from '../policy/import/profile.ts'
import { nativeArchitecture } from '../policy/native.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import { readInput } from './input.ts'

/** Conditions of a profile are decided without capabilities. Throws INPUT_UNREADABLE, IMPORT_INVALID, POLICY_INVALID. */
export function readProfileFile(path: string): PolicyDocument {
  const text = readInput(path).toString('utf8')
  const refuse = (problem: string): never => {
    throw new SandboxError('IMPORT_INVALID', `${path} is neither a policy nor a seccomp profile: ${problem}`)
  }
  const value = parseObject(text, refuse)
  if (value.version !== undefined && value.runs !== undefined) return decodePolicy(text, path)
  const collector = new Collector(SYSCALL_NAMES, { observed: false })
  const architecture = nativeArchitecture(process.arch) ?? 'x86_64'
  readProfile(value, collector, { architecture, capabilities: new Set(), kernel: release() }, refuse)
  const provenance = { format: 'oci', digest: `sha256:${sha256(text)}`, date: new Date().toISOString() }
  return policyOfImport('profile', collector, provenance)
}
