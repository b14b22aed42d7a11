import { print } from '../host/output.ts'
import type { Command } from './command.ts'
import { checks } from './doctor-checks.ts'

export type Finding = {
  readonly check: string
  readonly state: 'ok' | 'warning' | 'failed'
  readonly found: string
  /** What to do about it. */
  readonly remedy?: string
}

const MARK: Record<Finding['state'], string> = { ok: 'ok     ', warning: 'warning', failed: 'FAILED ' }

export const doctor: Command = {
  name: 'doctor',
  summary: 'Say whether this machine is ready to learn and to enforce, and if not, what to do.',
  details:
    'Exit code 0: ready. 1: something that is needed is missing. Run it as the user who starts containers (root).',
  options: { json: { type: 'boolean', help: 'as JSON' } },
  arity: [0, 0],
  run({ settings, flag }) {
    const findings = [...checks(settings)]
    if (flag('json')) {
      print(`${JSON.stringify(findings, null, 2)}\n`)
    } else {
      for (const { check, state, found, remedy } of findings) {
        print(`${MARK[state]} ${check}: ${found}\n${remedy === undefined ? '' : `        -> ${remedy}\n`}`)
      }
    }
    return findings.some(({ state }) => state === 'failed') ? 1 : 0
  },
}
