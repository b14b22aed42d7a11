/** Policies that commands make of others, and make again: each says so in its imports, by the format. */
import { SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import type { Store } from '../policy/store.ts'

/** The most notes that a policy keeps, and how long each may be (schema/policy.schema.json). */
const MAX_NOTES = 64
const MAX_NOTE = 4096

/** Notes as an import keeps them. */
export function keptNotes(notes: readonly string[]): { notes?: string[] } {
  if (notes.length === 0) return {}
  const short = notes.map((note) => (note.length > MAX_NOTE ? `${note.slice(0, MAX_NOTE - 3)}...` : note))
  if (short.length <= MAX_NOTES) return { notes: short }
  return { notes: [...short.slice(0, MAX_NOTES - 1), `and ${short.length - MAX_NOTES + 1} more`] }
}

/** Puts a policy into the store, also in place of one that was made in the same way. Throws STORE_FAILED where another one is there. */
export async function replaceMade(store: Store, policy: PolicyDocument, format: string): Promise<void> {
  store.prepare(policy.name)
  await store.update(policy.name, (stored) => {
    if (stored !== undefined && !(stored.imports ?? []).some((one) => one.format === format)) {
      throw new SandboxError(
        'STORE_FAILED',
        `there is a policy ${policy.name} already that no ${format} made; choose another --name, or remove it with policy rm`,
      )
    }
    return policy
  })
}
