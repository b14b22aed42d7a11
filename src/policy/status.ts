/** How far a policy has converged: what each run added, how likely the next one adds something, what no run has shown. Pure. */
import type { AllowedSyscall, PolicyDocument, Run } from '../generated/policy.ts'
import { architecturesOf } from './document.ts'
import { compareText, syscallKey } from './syscalls.ts'

export interface RunStatus {
  readonly id: string
  readonly started: string
  readonly complete: boolean
  /** Different calls that it made. */
  readonly distinct: number
  /** Those that no run before it had made. */
  readonly new: number
  /** Those that no other run made. */
  readonly alone: number
}

export interface Convergence {
  /** Runs that saw calls of the program. */
  readonly runs: number
  /** Those of them that made calls which no other run made. */
  readonly surprising: number
  /**
   * The chance that another run like these makes a call that is not in the policy, 0 to 1; absent without runs. Each run is taken for the
   * one that comes last: the share of those that would have been a surprise to the others (Good and Turing's estimate, counted in runs).
   */
  readonly chance?: number
  /** With a confidence of 95 % it is not above this (Clopper and Pearson's bound). */
  readonly atMost?: number
}

export interface Status {
  readonly name: string
  readonly complete: boolean
  readonly runs: readonly RunStatus[]
  readonly learned: number
  readonly siblings: number
  readonly convergence: Convergence
  /** The last run that made a call which no run before it had made. */
  readonly lastNew?: {
    readonly run: string
    readonly started: string
    readonly runsSince: number
    readonly calls: string[]
  }
  readonly alone: readonly { readonly call: string; readonly run: string }[]
  readonly hints: readonly string[]
}

export function policyStatus(policy: PolicyDocument): Status {
  const calls = architecturesOf(policy).flatMap(([architecture, { syscalls }]) =>
    syscalls.map((syscall) => ({ call: `${syscallKey(syscall)} (${architecture})`, syscall })),
  )
  const made = calls.filter(({ syscall }) => syscall.since !== undefined)
  const alone = made.filter(({ syscall }) => syscall.again === undefined)
  const count = (list: readonly { syscall: AllowedSyscall }[], id: string) =>
    list.filter(({ syscall }) => syscall.since === id).length
  const runs = policy.runs.map(({ id, started, complete, distinct }) => ({
    id,
    started,
    complete,
    distinct,
    new: count(made, id),
    alone: count(alone, id),
  }))
  const last = runs.findLastIndex((run) => run.new > 0)
  const lastRun = runs[last]
  return {
    name: policy.name,
    complete: policy.complete,
    runs,
    learned: calls.filter(({ syscall }) => syscall.via === undefined).length,
    siblings: calls.filter(({ syscall }) => syscall.via !== undefined).length,
    // What several runs made needs no watching (learn/known.ts): a run that showed nothing else did show that.
    convergence: convergence(
      runs.filter(({ distinct }, index) => distinct > 0 || policy.runs[index]?.unwatched !== undefined),
    ),
    ...(lastRun === undefined
      ? {}
      : {
          lastNew: {
            run: lastRun.id,
            started: lastRun.started,
            runsSince: runs.length - 1 - last,
            calls: made.filter(({ syscall }) => syscall.since === lastRun.id).map(({ call }) => call),
          },
        }),
    alone: alone.map(({ call, syscall }) => ({ call, run: syscall.since as string })),
    hints: hints(policy),
  }
}

function convergence(runs: readonly RunStatus[]): Convergence {
  const surprising = runs.filter(({ alone }) => alone > 0).length
  if (runs.length === 0) return { runs: 0, surprising }
  return {
    runs: runs.length,
    surprising,
    chance: surprising / runs.length,
    atMost: upperBound(surprising, runs.length),
  }
}

/** The chance of an event at which seeing it at most `times` times in `trials` has a probability of 5 %. */
export function upperBound(times: number, trials: number): number {
  if (times >= trials) return 1
  let [low, high] = [times / trials, 1]
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2
    if (atMostTimes(times, trials, middle) > 0.05) low = middle
    else high = middle
  }
  return high
}

/** The probability of at most `times` in `trials`; by logarithms, as the powers of many trials are too small for a number. */
function atMostTimes(times: number, trials: number, chance: number): number {
  let logarithm = trials * Math.log1p(-chance)
  let sum = Math.exp(logarithm)
  for (let index = 1; index <= times; index++) {
    logarithm += Math.log((trials - index + 1) / index) + Math.log(chance) - Math.log1p(-chance)
    sum += Math.exp(logarithm)
  }
  return sum
}

/** What the runs, as far as they are recorded, have not shown. */
function hints(policy: PolicyDocument): string[] {
  const { runs } = policy
  const whole = runs.filter(({ complete }) => complete)
  const made = (call: string) =>
    architecturesOf(policy).some(([, { syscalls }]) =>
      syscalls.some(({ name, since }) => name === call && since !== undefined),
    )
  const found: string[] = []
  if (runs.length === 0) return ['no run was learned']
  if (runs.length === 1) found.push('one run only: what depends on chance, input or load was seen once')
  if (whole.length === 0) found.push('no run was seen to its end: what the program does at its end is not known')
  else if (whole.every(({ exit }) => exit?.signal !== undefined))
    found.push('every run was ended by a signal: an orderly shutdown was not seen')
  if (whole.length > 0 && whole.every(({ exit }) => exit?.code === 0))
    found.push('every run ended with exit code 0: error paths were not seen')
  if (!made('rt_sigreturn') && !made('sigreturn'))
    found.push('no signal handler ran: reload (SIGHUP), shutdown (SIGTERM), timers')
  if (runs.every(({ tasks }) => tasks <= 1)) found.push('no run had threads or other processes')
  const lossy = runs.filter(({ lost }) => lost.tasks + lost.calls + lost.writes > 0).length
  if (lossy > 0) found.push(`${lossy} of ${runs.length} runs lost something: their calls may not all be here`)
  const only = single(runs, ({ kernel }) => kernel)
  if (only !== undefined) found.push(`one kernel only (${only}): a C library may choose other calls on another`)
  const programs = new Set(runs.map(({ program }) => program?.digest ?? program?.path).filter(Boolean))
  if (programs.size > 1) found.push(`${programs.size} different programs: the estimate is for a mixture like theirs`)
  return found
}

/** What all runs have in common, or undefined. */
function single(runs: readonly Run[], key: (run: Run) => string | undefined): string | undefined {
  const values = [...new Set(runs.map(key))].sort((a, b) => compareText(a ?? '', b ?? ''))
  return values.length === 1 ? values[0] : undefined
}
