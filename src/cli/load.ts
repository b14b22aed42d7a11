/** Policies as commands name them. */
import { readFileSync } from 'node:fs'
import { oneLine, SandboxError } from '../errors.ts'
import type { PolicySource } from '../filter/lookup.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { foldPendingRuns } from '../learn/pending.ts'
import { decodePolicy } from '../policy/document.ts'
import type { Store } from '../policy/store.ts'

/** The policy NAME of the store, with every run that has ended in it; or the one in a file, where the operand has a slash. */
export async function loadPolicy(store: Store, operand: string): Promise<PolicyDocument> {
  return (await loadSource(store, operand)).decode()
}

/** The same, with the text as it is written down. */
export async function loadSource(store: Store, operand: string): Promise<PolicySource> {
  if (operand.includes('/')) {
    const text = readFile(operand)
    const policy = decodePolicy(text.toString('utf8'), operand)
    return { name: policy.name, text, decode: () => policy }
  }
  await foldPendingRuns(store, operand)
  return store.source(operand)
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new SandboxError('POLICY_NOT_FOUND', `cannot read the policy ${path}: ${oneLine(error)}`, { cause: error })
  }
}
