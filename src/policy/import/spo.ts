/** A SeccompProfile of the Security Profiles Operator (YAML or JSON): a profile of the OCI kind under /spec. */
import { isObject, type Json } from '../../json.ts'
import type { Collector } from './collector.ts'
import { readProfile } from './profile.ts'
import type { Conditions, Refuse } from './profile-entries.ts'

/** Keys of /spec that are the operator's own business. */
const NOT_PROFILE = ['baseProfileName', 'disabled']

export function readSpo(value: Json, into: Collector, conditions: Conditions, refuse: Refuse): void {
  if (!isObject(value) || value.kind !== 'SeccompProfile') refuse('/kind: expected SeccompProfile')
  const { spec } = value
  if (!isObject(spec)) refuse('/spec: expected an object')
  const { baseProfileName } = spec
  if (typeof baseProfileName === 'string' && baseProfileName !== '')
    into.note('the base profile, which allows calls of its own: import it as well', baseProfileName)
  const profile = Object.fromEntries(Object.entries(spec).filter(([key]) => !NOT_PROFILE.includes(key)))
  readProfile(profile, into, conditions, (problem) => refuse(`/spec${problem}`))
}
