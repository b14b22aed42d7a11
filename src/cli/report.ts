import { print } from '../host/output.ts'
import { policyReport, type Report } from '../policy/report.ts'
import type { Command } from './command.ts'
import { loadPolicy } from './load.ts'
import { describePaths } from './policy-paths.ts'
import { fill, table } from './text.ts'

export const report: Command = {
  name: 'report',
  operands: 'POLICY',
  summary: 'Show how a policy was learned: programs, first sights in the order of time, and counts.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash. The column MOST is the most calls that one run made.',
  options: { json: { type: 'boolean', help: 'as JSON' } },
  arity: [1, 1],
  async run({ operands, store, flag }) {
    const policy = await loadPolicy(store, operands[0] as string)
    const found = policyReport(policy)
    const paths = policy.paths === undefined ? '' : describePaths(policy)
    print(flag('json') ? `${JSON.stringify(found, null, 2)}\n` : describe(found) + paths)
    return 0
  },
}

function describe({ name, programs, timeline, calls }: Report): string {
  const programRows = programs.map(({ program, digest, runs, complete, calls: made, new: fresh, last }) => [
    program,
    digest?.slice(0, 'sha256:'.length + 12) ?? '-',
    String(runs),
    String(complete),
    String(made),
    String(fresh),
    seconds(last),
  ])
  return [
    `policy ${name}\n\n`,
    table([['PROGRAM', 'DIGEST', 'RUNS', 'COMPLETE', 'CALLS', 'NEW', 'LAST RUN'], ...programRows]),
    '\nfirst seen:\n',
    ...timeline.map(
      ({ started, program, calls: fresh }) => `  ${seconds(started)}  ${program}\n${fill(fresh, '    ')}`,
    ),
    '\n',
    table([['CALL', 'ABI', 'MOST', 'FIRST SEEN'], ...calls.map(callRow)]),
  ].join('')
}

function callRow({ call, architecture, most, first, via }: Report['calls'][number]): string[] {
  const seen = first === undefined ? (via === undefined ? '-' : `instead of ${via}`) : seconds(first)
  return [call, architecture, most === undefined ? '-' : String(most), seen]
}

function seconds(time: string): string {
  return `${time.slice(0, 19)}Z`
}
