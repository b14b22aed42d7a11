import { oneLine, SandboxError } from '../errors.ts'
import { print, printError } from '../host/output.ts'
import { parseObject } from '../json.ts'
import { encodePolicy, POLICY_VERSION } from '../policy/document.ts'
import type { Store } from '../policy/store.ts'
import type { Command } from './command.ts'

const MAX_POLICIES = 10_000

export const policyMigrate: Command = {
  name: 'policy migrate',
  operands: '[POLICY...]',
  summary: 'Write policies of older versions of the format in the version of this program.',
  details:
    'POLICY is the name of a policy in the store; without any, all of them. Policies of older versions can be used as they are: they are\n' +
    'read as what they would become, and written in the new version with the next change. Programs of the older version refuse that.\n\n' +
    'Exit code 1: a policy cannot be read; the others are written all the same.',
  options: { 'dry-run': { type: 'boolean', help: 'say what would change, and write nothing' } },
  arity: [0, MAX_POLICIES],
  async run({ operands, store, flag }) {
    for (const name of operands) store.source(name)
    const names = operands.length > 0 ? operands : store.list().filter((name) => store.readText(name) !== undefined)
    let failed = false
    for (const name of names) {
      try {
        print(`${name}: ${await migrate(store, name, flag('dry-run'))}\n`)
      } catch (error) {
        if (!(error instanceof SandboxError)) throw error
        printError(`oci-sandbox: ${oneLine(error)} [${error.code}]\n`)
        failed = true
      }
    }
    return failed ? 1 : 0
  },
}

/** What was done, in words. Throws POLICY_INVALID, STORE_*. */
async function migrate(store: Store, name: string, dryRun: boolean): Promise<string> {
  const { text, decode } = store.source(name)
  const policy = decode()
  const { version } = parseObject(text.toString('utf8'), (problem) => {
    throw new SandboxError('POLICY_INVALID', problem)
  })
  if (text.toString('utf8') === encodePolicy(policy)) return `is version ${POLICY_VERSION}`
  if (!dryRun) await store.update(name, (stored) => stored)
  if (version === POLICY_VERSION) return `is version ${POLICY_VERSION}, now in its one order`
  return `version ${version} -> ${POLICY_VERSION}`
}
