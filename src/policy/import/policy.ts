/** What was collected -> a policy, with where it came from. */
import type { Import, PolicyDocument } from '../../generated/policy.ts'
import { type ArchitectureName, decodePolicy, encodePolicy, POLICY_VERSION } from '../document.ts'
import { kernelCalls } from '../kernel-calls.ts'
import type { Collector } from './collector.ts'

/** The most notes that a policy keeps, and how long each may be (schema/policy.schema.json). */
const MAX_NOTES = 64
const MAX_NOTE = 4096

/** Calls that the kernel puts into a program belong to what was observed; a profile is taken as it is. */
export function addKernelCalls(into: Collector): void {
  for (const architecture of Object.keys(into.architectures()) as ArchitectureName[])
    for (const call of kernelCalls(architecture)) into.add(architecture, call, 'the kernel')
}

/** The policy of what was collected. Throws POLICY_INVALID where it could not be read again. */
export function policyOfImport(name: string, from: Collector, provenance: Omit<Import, 'notes'>): PolicyDocument {
  const notes = from.notes.map((note) => (note.length > MAX_NOTE ? `${note.slice(0, MAX_NOTE - 3)}...` : note))
  const kept = notes.length > MAX_NOTES ? [...notes.slice(0, MAX_NOTES - 1), 'and more'] : notes
  const policy: PolicyDocument = {
    version: POLICY_VERSION,
    name,
    complete: false,
    architectures: from.architectures(),
    runs: [],
    imports: [{ ...provenance, ...(kept.length === 0 ? {} : { notes: kept }) }],
  }
  return decodePolicy(encodePolicy(policy), 'that was imported')
}
