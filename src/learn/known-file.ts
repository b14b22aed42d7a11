/** The list of a policy's known calls (known.ts) as the tracer reads it: STORE/policies/NAME/known. */
import { join } from 'node:path'
import { readTrusted, writeAtomic } from '../host/files.ts'
import { sha256 } from '../host/hash.ts'
import type { Store } from '../policy/store.ts'
import type { KnownCalls } from './stream.ts'

function pathOf(store: Store, policy: string): string {
  return join(store.directory(policy), 'known')
}

/** It belongs to the bytes of one policy.json: a list of another one is not used. */
function heading(text: Uint8Array): string {
  return `# sha256:${sha256(text)}\n`
}

/** `text`: the policy as it is stored. Throws STORE_FAILED. */
export function writeKnown(store: Store, policy: string, text: Uint8Array, known: readonly KnownCalls[]): void {
  const lines = known.flatMap(({ arch, numbers }) => numbers.map((nr) => `${arch} ${nr}\n`))
  writeAtomic(pathOf(store, policy), heading(text) + lines.join(''), { mode: 0o600 })
}

/**
 * The path of the list, or undefined where there is none of the policy as it is now, or it is empty. Throws STORE_UNSAFE,
 * STORE_FAILED.
 */
export function currentKnown(store: Store, policy: string): string | undefined {
  const path = pathOf(store, policy)
  const list = readTrusted(path)?.toString('latin1')
  const text = list === undefined ? undefined : store.readText(policy)
  if (list === undefined || text === undefined) return undefined
  const head = heading(text)
  return list.startsWith(head) && list.length > head.length ? path : undefined
}
