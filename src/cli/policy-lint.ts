import { print } from '../host/output.ts'
import { lintPolicy } from '../policy/lint.ts'
import type { Command } from './command.ts'
import { loadPolicy } from './load.ts'
import { commentLines, table } from './text.ts'

export const policyLint: Command = {
  name: 'policy lint',
  operands: 'POLICY',
  summary: 'Say what a policy allows that is dangerous, and where it looks too narrow to work.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash.\n\n' +
    'Exit code 1: it allows something dangerous. What a container needs all the same can be given a reason (policy overlay).',
  options: { json: { type: 'boolean', help: 'as JSON' } },
  arity: [1, 1],
  async run({ operands, store, flag }) {
    const policy = await loadPolicy(store, operands[0] as string)
    const findings = lintPolicy(policy)
    if (flag('json')) print(`${JSON.stringify(findings, null, 2)}\n`)
    else {
      const comments = policy.comments ?? []
      if (comments.length > 0) print(commentLines(comments, ''))
      print(
        table(
          findings.map(({ kind, call, reason, comments = [] }) => [
            kind,
            call ?? '-',
            [reason, ...comments.map((comment) => `(comment: ${comment})`)].join(' '),
          ]),
        ),
      )
    }
    return findings.some(({ kind }) => kind === 'dangerous') ? 1 : 0
  },
}
