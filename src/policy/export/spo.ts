/** Policy -> a SeccompProfile of the Security Profiles Operator, as a value for YAML. Pure. */
import type { PolicyDocument } from '../../generated/policy.ts'
import type { Profile } from '../export-oci.ts'
import { impossible } from './one-list.ts'

/** The profile's numbers are int64 in the custom resource's schema. */
const MAX_VALUE = (1n << 63n) - 1n

/** Throws EXPORT_IMPOSSIBLE where a value of a rule is larger than a custom resource can have. */
export function spoProfile(policy: PolicyDocument, profile: Profile): object {
  const syscalls = profile.syscalls.map(({ names, action, args }) => ({
    action,
    names,
    ...(args === undefined ? {} : { args: args.map((argument) => ({ ...argument })) }),
  }))
  for (const { names, args = [] } of syscalls) {
    if (args.some(({ value, valueTwo }) => value > MAX_VALUE || valueTwo > MAX_VALUE))
      throw impossible(policy, `a rule of ${names[0]} has a value above 2^63 - 1, which a custom resource cannot hold`)
  }
  return {
    apiVersion: 'security-profiles-operator.x-k8s.io/v1beta1',
    kind: 'SeccompProfile',
    metadata: { name: resourceName(policy.name) },
    spec: { defaultAction: profile.defaultAction, architectures: profile.architectures, syscalls },
  }
}

/** A name that Kubernetes takes: lower-case letters, digits, "-" and ".", each part with a letter or digit at its ends (RFC 1123). */
export function resourceName(name: string): string {
  const parts = name
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .split('.')
  const trimmed = parts.map((part) => part.replace(/^-+|-+$/g, '')).filter(Boolean)
  return trimmed.join('.') || 'policy'
}
