/** What was learned, as a story: which programs ran, when each call was first seen, how often it was made. Pure. */
import type { LearnedPaths, PolicyDocument, Run } from '../generated/policy.ts'
import { architecturesOf } from './document.ts'
import { compareText, syscallKey } from './syscalls.ts'

export interface Report {
  readonly name: string
  readonly programs: readonly {
    readonly program: string
    readonly digest?: string
    readonly runs: number
    readonly complete: number
    readonly calls: number
    readonly first: string
    readonly last: string
    /** Calls that a run of it was the first to make. */
    readonly new: number
  }[]
  /** Runs that were the first to make a call, oldest first. */
  readonly timeline: readonly {
    readonly run: string
    readonly started: string
    readonly program: string
    readonly calls: string[]
  }[]
  /** Most made first. */
  readonly calls: readonly {
    readonly call: string
    readonly architecture: string
    readonly most?: number
    readonly first?: string
    readonly via?: string
  }[]
  /** Files, endpoints and programs that were seen. */
  readonly paths?: LearnedPaths
}

export function policyReport(policy: PolicyDocument): Report {
  const runs = new Map(policy.runs.map((run) => [run.id, run]))
  const calls = architecturesOf(policy).flatMap(([architecture, { syscalls }]) =>
    syscalls.map((syscall) => ({ architecture, call: syscallKey(syscall), syscall })),
  )
  const firstSeen = (id: string) =>
    calls.filter(({ syscall }) => syscall.since === id).map(({ call, architecture }) => `${call} (${architecture})`)
  return {
    name: policy.name,
    programs: programsOf(policy.runs, (id) => firstSeen(id).length),
    timeline: policy.runs
      .map((run) => ({
        run: run.id,
        started: run.started,
        program: run.program?.path ?? '-',
        calls: firstSeen(run.id),
      }))
      .filter((entry) => entry.calls.length > 0),
    calls: calls
      .map(({ call, architecture, syscall: { count, since, via } }) => {
        const first = since === undefined ? undefined : runs.get(since)?.started
        return {
          call,
          architecture,
          ...(count === undefined ? {} : { most: count }),
          ...(first === undefined ? {} : { first }),
          ...(via === undefined ? {} : { via }),
        }
      })
      .sort((a, b) => (b.most ?? -1) - (a.most ?? -1) || compareText(a.call, b.call)),
    ...(policy.paths === undefined ? {} : { paths: policy.paths }),
  }
}

function programsOf(runs: readonly Run[], fresh: (id: string) => number): Report['programs'] {
  const byProgram = new Map<string, Run[]>()
  for (const run of runs) {
    const key = `${run.program?.path ?? '-'} ${run.program?.digest ?? ''}`
    byProgram.set(key, [...(byProgram.get(key) ?? []), run])
  }
  return [...byProgram.values()].map((own) => {
    const { program } = own[0] as Run
    return {
      program: program?.path ?? '-',
      ...(program?.digest === undefined ? {} : { digest: program.digest }),
      runs: own.length,
      complete: own.filter(({ complete }) => complete).length,
      calls: own.reduce((sum, { calls }) => sum + calls, 0),
      first: (own[0] as Run).started,
      last: (own.at(-1) as Run).started,
      new: own.reduce((sum, { id }) => sum + fresh(id), 0),
    }
  })
}
