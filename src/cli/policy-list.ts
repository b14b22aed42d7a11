import { asSandboxError, oneLine } from '../errors.ts'
import type { PolicyDocument } from '../generated/policy.ts'
import { print, printError } from '../host/output.ts'
import { architecturesOf } from '../policy/document.ts'
import type { Command } from './command.ts'
import { loadPolicy } from './load.ts'
import { table } from './text.ts'

interface Row {
  readonly name: string
  readonly complete: boolean
  readonly runs: number
  readonly syscalls: number
  readonly last: string | undefined
}

function summarise(policy: PolicyDocument): Row {
  return {
    name: policy.name,
    complete: policy.complete,
    runs: policy.runs.length,
    syscalls: architecturesOf(policy).reduce((sum, [, { syscalls }]) => sum + syscalls.length, 0),
    last: policy.runs.at(-1)?.started,
  }
}

export const policyList: Command = {
  name: 'policy list',
  summary: 'List the policies in the store.',
  options: { json: { type: 'boolean', help: 'as JSON' } },
  arity: [0, 0],
  async run({ store, flag }) {
    const rows: Row[] = []
    let failures = 0
    for (const name of store.list()) {
      try {
        rows.push(summarise(await loadPolicy(store, name)))
      } catch (cause) {
        const error = asSandboxError(cause)
        // A directory without a policy: its first run goes on, or never got as far as its program.
        if (error.code === 'POLICY_NOT_FOUND') continue
        failures++
        printError(`oci-sandbox: ${oneLine(error)} [${error.code}]\n`)
      }
    }
    if (flag('json')) {
      print(`${JSON.stringify(rows, null, 2)}\n`)
    } else {
      const cells = rows.map(({ name, complete, runs, syscalls, last }) => [
        name,
        complete ? 'complete' : 'partial',
        String(runs),
        String(syscalls),
        last ?? '-',
      ])
      print(table([['NAME', 'STATE', 'RUNS', 'SYSCALLS', 'LAST RUN'], ...cells]))
    }
    return failures === 0 ? 0 : 1
  },
}
