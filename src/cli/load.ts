/** Policies as commands name them. */
import { readFileSync } from 'node:fs'
import { oneLine, SandboxError } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { foldPendingRuns } from '../learn/pending.ts'
import { decodePolicy } from '../policy/document.ts'
import type { Store } from '../policy/store.ts'

/** The policy NAME of the store, with every run that has ended in it; or the one in a file, where the operand has a slash. */
export async function loadPolicy(store: Store, operand: string): Promise<PolicyDocument> {
  if (operand.includes('/')) return decodePolicy(readFile(operand), operand)
  await foldPendingRuns(store, operand)
  return store.read(operand)
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new SandboxError('POLICY_NOT_FOUND', `cannot read the policy ${path}: ${oneLine(error)}`, { cause: error })
  }
}
