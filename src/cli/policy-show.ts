import type { AllowedSyscall, Import, PolicyDocument, Run } from '../generated/policy.ts'
import { print } from '../host/output.ts'
import { architecturesOf, encodePolicy } from '../policy/document.ts'
import { isUnrestricted } from '../policy/learned.ts'
import { syscallKey } from '../policy/syscalls.ts'
import type { Command } from './command.ts'
import { loadPolicy } from './load.ts'
import { describeArguments } from './policy-arguments.ts'
import { describePaths, summarisePaths } from './policy-paths.ts'
import { commentLines, count, fill, table } from './text.ts'

export const policyShow: Command = {
  name: 'policy show',
  operands: 'POLICY',
  summary: 'Show a policy: what it allows, and which runs it was learned from.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash. A call that is marked with * is allowed with certain arguments only.',
  options: {
    arguments: { type: 'boolean', help: 'also the arguments that calls were seen with, and how they were widened' },
    paths: {
      type: 'boolean',
      help: 'also the files, endpoints and programs that were seen, which no filter enforces',
    },
    json: { type: 'boolean', help: 'the policy document itself' },
  },
  arity: [1, 1],
  async run({ operands, store, flag }) {
    const policy = await loadPolicy(store, operands[0] as string)
    if (flag('json')) print(encodePolicy(policy))
    else {
      const more = [flag('arguments') ? describeArguments(policy) : '', flag('paths') ? describePaths(policy) : '']
      print(describe(policy) + more.join(''))
    }
    return 0
  },
}

/** More runs than this are counted, not listed. */
const MAX_RUNS = 10

function describe(policy: PolicyDocument): string {
  const { name, complete, runs } = policy
  const whole = runs.filter((run) => run.complete).length
  const text = [
    `policy ${name}: ${complete ? 'complete' : 'partial: no run was seen from its first call to its end'}\n`,
    commentLines(policy.comments ?? [], '  '),
  ]
  for (const [architecture, { known, syscalls }] of architecturesOf(policy)) {
    const own = syscalls.filter(({ via }) => via === undefined)
    const beside = syscalls.filter(({ via }) => via !== undefined)
    const more = beside.length === 0 ? '' : `, and ${beside.length} that may be made instead of them`
    text.push(
      `\n${architecture}: ${count(own.length, 'syscall')} allowed${more} (those newer than number ${known} get ENOSYS)\n`,
    )
    text.push(fill(own.map(marked), '  '))
    if (beside.length > 0) text.push('  and instead of them:\n', fill(beside.map(marked), '  '))
    for (const syscall of syscalls)
      if (syscall.comments !== undefined) text.push(commentLines(syscall.comments, `  ${syscallKey(syscall)}: `))
  }
  text.push(`\nlearned from ${count(runs.length, 'run')}, of which ${whole} complete\n`)
  if (runs.length > MAX_RUNS) text.push(`(the last ${MAX_RUNS}; --json shows all)\n`)
  const recent = runs.slice(-MAX_RUNS)
  if (recent.length > 0)
    text.push(
      table([
        ['  STARTED', 'STATE', 'CALLS', 'NEW', 'TASKS', 'END', 'PROGRAM'],
        ...recent.map((run) => row(policy, run)),
      ]),
    )
  const imports = policy.imports ?? []
  if (imports.length > 0) text.push('\nimported:\n', table(imports.map(importRow)))
  text.push(summarisePaths(policy))
  return text.join('')
}

function marked(syscall: AllowedSyscall): string {
  return syscallKey(syscall) + (isUnrestricted(syscall) ? '' : '*')
}

function importRow({ format, source = '-', digest, date }: Import): string[] {
  return [`  ${date.slice(0, 19)}Z`, format, source, digest.slice(0, 'sha256:'.length + 12)]
}

function row(policy: PolicyDocument, run: Run): string[] {
  const fresh = architecturesOf(policy).flatMap(([, { syscalls }]) => syscalls.filter(({ since }) => since === run.id))
  const digest = run.program?.digest?.slice(0, 'sha256:'.length + 12)
  return [
    `  ${run.started.slice(0, 19)}Z`,
    run.complete ? 'complete' : 'partial',
    String(run.calls),
    String(fresh.length),
    String(run.tasks),
    run.complete ? ending(run) : run.reason,
    [run.program?.path ?? '-', ...(digest === undefined ? [] : [digest])].join(' '),
  ]
}

function ending({ exit }: Run): string {
  if (exit?.signal !== undefined) return `signal ${exit.signal}`
  return `exit ${exit?.code ?? '?'}`
}
