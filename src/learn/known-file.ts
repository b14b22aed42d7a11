/** The list of a policy's known calls (known.ts) as the tracer reads it: STORE/policies/NAME/known. */
import { join } from 'node:path'
import { readTrusted, writeAtomic } from '../host/files.ts'
import { sha256 } from '../host/hash.ts'
import type { Store } from '../policy/store.ts'
import type { KnownCalls } from './stream.ts'

function pathOf(store: Store, policy: string): string {
  return join(store.directory(policy), 'known')
}

const HEADING_LINES = 2

/** It belongs to the bytes of one policy.json: a list of another one is not used, nor one that a power failure has torn. */
function heading(text: Uint8Array, list: string): string {
  return `# sha256:${sha256(text)}\n# sha256:${sha256(list)}\n`
}

/** `text`: the policy as it is stored. Throws STORE_FAILED. */
export function writeKnown(store: Store, policy: string, text: Uint8Array, known: readonly KnownCalls[]): void {
  const lines = known.flatMap(({ arch, numbers }) => numbers.map((nr) => `${arch} ${nr}\n`))
  const list = lines.join('')
  writeAtomic(pathOf(store, policy), heading(text, list) + list, { mode: 0o600 })
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
  const calls = list.split('\n').slice(HEADING_LINES).join('\n')
  return calls !== '' && list.startsWith(heading(text, calls)) ? path : undefined
}
