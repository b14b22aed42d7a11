import type { PolicyDocument } from '../generated/policy.ts'
import { print } from '../host/output.ts'
import { policyStatus, type Status } from '../policy/status.ts'
import { type Surface, surfaceOf } from '../policy/surface.ts'
import { SYSCALL_NAMES } from '../policy/syscall-names.ts'
import type { Command } from './command.ts'
import { loadPolicy } from './load.ts'
import { readProfileFile } from './profile-file.ts'
import { count, fill, table } from './text.ts'

/** More runs and calls than this are counted, not listed. */
const MAX_RUNS = 20
const MAX_CALLS = 40

export const policyStatusCommand: Command = {
  name: 'policy status',
  operands: 'POLICY',
  summary: 'Say how far a policy has converged, what no run has shown, and how much of the kernel it leaves open.',
  details:
    'POLICY is the name of a policy in the store, or a path with a slash.\n\n' +
    'The chance that the next run shows something new is estimated from the runs that made a call which no other run made: each was\n' +
    'a surprise to the others. It holds for runs of the same kind only: what the runs never did, no figure knows.',
  options: {
    against: {
      type: 'string',
      value: 'FILE',
      help: 'compare with a seccomp profile (such as the default one), or a policy',
    },
    json: { type: 'boolean', help: 'as JSON' },
  },
  arity: [1, 1],
  async run({ operands, store, text, flag }) {
    const policy = await loadPolicy(store, operands[0] as string)
    const file = text('against')
    const against = file === undefined ? undefined : readProfileFile(file)
    const status = policyStatus(policy)
    const surface = surfaceOf(policy, SYSCALL_NAMES, against)
    if (flag('json')) print(`${JSON.stringify({ ...status, surface }, null, 2)}\n`)
    else print(describe(policy, status, surface, file))
    return 0
  },
}

function describe(
  policy: PolicyDocument,
  status: Status,
  surface: readonly Surface[],
  file: string | undefined,
): string {
  const whole = policy.runs.filter(({ complete }) => complete).length
  const runs = count(policy.runs.length, 'run')
  const recent = status.runs.slice(-MAX_RUNS)
  const rows = recent.map((run) => [
    `  ${run.started.slice(0, 19)}Z`,
    run.complete ? 'complete' : 'partial',
    String(run.distinct),
    String(run.new),
    String(run.alone),
  ])
  return [
    `policy ${policy.name}: ${policy.complete ? 'complete' : 'partial'}, ${runs}, ${whole} complete\n`,
    `${count(status.learned, 'call')} learned or imported, ${status.siblings} that may be made instead of them\n`,
    ...(rows.length === 0 ? [] : ['\n', table([['  STARTED', 'STATE', 'DISTINCT', 'NEW', 'NO OTHER'], ...rows])]),
    ...(recent.length < status.runs.length ? [`  (the last ${MAX_RUNS}; --json shows all)\n`] : []),
    '\n',
    ...lastNew(status),
    ...chance(status),
    '\nnot seen:\n',
    ...status.hints.map((hint) => `  - ${hint}\n`),
    ...surface.flatMap((one) => describeSurface(one, file)),
  ].join('')
}

function lastNew({ lastNew: last }: Status): string[] {
  if (last === undefined) return []
  const when = last.runsSince === 0 ? 'in the last run' : `${count(last.runsSince, 'run')} before the last one`
  return [`last new call: ${when} (${last.started.slice(0, 19)}Z)\n`, fill(limited(last.calls), '  ')]
}

function chance({ convergence, alone }: Status): string[] {
  const { runs, surprising, chance: estimate, atMost } = convergence
  if (estimate === undefined || atMost === undefined) return ['no estimate without runs\n']
  const basis = `${surprising} of ${count(runs, 'run')} made calls that no other run made`
  const seldom =
    alone.length === 0 ? [] : ['calls that one run alone made:\n', fill(limited(alone.map(({ call }) => call)), '  ')]
  return [
    `chance that the next run makes a new call: about ${percent(estimate)}, at most ${percent(atMost)} (${basis}; 95 % confidence)\n`,
    ...(runs > 1 ? seldom : []),
  ]
}

function describeSurface(
  { architecture, allowed, all, subsystems, against }: Surface,
  file: string | undefined,
): string[] {
  const open = subsystems.map(({ subsystem, allowed: some, all: every }) => [`  ${subsystem}`, `${some} of ${every}`])
  const compared =
    against === undefined
      ? []
      : [
          `  ${file}: ${against.allowed} (${percent(against.allowed / all)}); only this policy allows ${against.beyond.length}\n`,
          ...(against.beyond.length === 0 ? [] : [fill(limited(against.beyond), '    ')]),
        ]
  return [
    `\nopen to ${architecture} programs: ${allowed} of ${all} calls (${percent(allowed / all)})\n`,
    ...compared,
    table(open),
  ]
}

function limited(calls: readonly string[]): string[] {
  return calls.length <= MAX_CALLS ? [...calls] : [...calls.slice(0, MAX_CALLS), `and ${calls.length - MAX_CALLS} more`]
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
