/** What our hooks add to `runc run` of a program that ends at once, against no hook and against a hook that does nothing. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Container, Hook, Run, Store, Workspace } from './container.ts'
import { FIXTURES } from './paths.ts'
import { annotations, directHook, fixture, hook, nodeHook, realisticPolicy, storePolicy } from './sandbox.ts'
import { median, medianDifference, quantile, shuffled } from './statistics.ts'
import type { Table } from './table.ts'

const ROUNDS = 60

/** What the project wants to stay below, added to no hook. ms. */
const GOALS = { 'enforce, filter cached': 6, 'enforce, not cached': 12 }

const NONE = 'no hook'
const EMPTY = 'empty hook'

interface Case {
  readonly name: string
  readonly container: Container
  /** Brings back the state that is to be measured; not timed. */
  readonly reset?: () => void
}

/** How long what a container leaves behind (the tracer's end, the network namespace's) is given before the next one. ms. */
const PAUSE = 10

export async function benchHook(workspace: Workspace, rounds = ROUNDS): Promise<Table> {
  const { cases, syscalls } = casesOf(workspace)
  const measured = cases.map((one) => measure(workspace, one))
  for (const one of measured) await one.run() // not measured: it fills the caches
  for (let round = 0; round < rounds; round++) for (const one of shuffled(measured)) await one.run()
  const timesOf = (name: string) => (measured.find((one) => one.name === name)?.whole ?? []).slice(1)
  const rows = measured.map(({ name, alone, used }) => {
    const times = timesOf(name)
    return [
      name,
      median(times).toFixed(1),
      quantile(times, 0).toFixed(1),
      quantile(times, 0.9).toFixed(1),
      name === NONE ? '' : signed(medianDifference(times, timesOf(NONE))),
      name === NONE || name === EMPTY ? '' : signed(medianDifference(times, timesOf(EMPTY))),
      ...(name === NONE
        ? ['', '', '']
        : [median(alone.slice(1)), quantile(alone.slice(1), 0), quantile(used.slice(1), 0.1)].map((ms) =>
            ms.toFixed(1),
          )),
    ]
  })
  const goals = Object.entries(GOALS).map(([name, goal]) => {
    const added = medianDifference(timesOf(name), timesOf(NONE))
    return `${name}: ${added.toFixed(1)} ms added, the goal is under ${goal} ms: ${added < goal ? 'met' : 'MISSED'}.`
  })
  return {
    title: 'What a hook adds to `runc run`',
    header: [
      ...['`runc run` of a program that ends at once', 'ms', 'least', 'p90', 'added', 'added to empty'],
      ...['hook alone', 'least', 'CPU'],
    ],
    rows,
    notes: [
      `${rounds} rounds; the policy allows ${syscalls} syscalls. CPU: what the hook alone takes of processors (p10), which other work on the machine makes hardly more.`,
      goals.join('\n'),
    ],
  }
}

function signed(ms: number): string {
  return `${ms < 0 ? '-' : '+'}${Math.abs(ms).toFixed(1)}`
}

/** A case, and what has been measured of it: `runc run` as a whole, and in a run of its own the hook from its fork to its end. */
function measure(workspace: Workspace, { name, container, reset }: Case) {
  const whole: number[] = []
  const alone: number[] = []
  const used: number[] = []
  const file = join(workspace.directory, 'hook-ns')
  const run = workspace.prepare(container)
  const runTimed = container.hooks === undefined ? undefined : workspace.prepare(timed(container, file))
  const once = async (go: () => Run): Promise<Run> => {
    reset?.()
    await pause(PAUSE)
    return go()
  }
  return {
    name,
    whole,
    alone,
    used,
    async run(): Promise<void> {
      whole.push((await once(run)).ms)
      if (runTimed === undefined) return
      await once(runTimed)
      const [wall, cpu] = readFileSync(file, 'utf8').split(' ').map(Number)
      alone.push((wall as number) / 1e6)
      used.push((cpu as number) / 1e6)
    },
  }
}

/** The container with its last hook run by timed-hook. */
function timed(container: Container, file: string): Container {
  const wrap = ({ path, args }: Hook): Hook => ({
    path: join(FIXTURES, 'timed-hook'),
    args: ['timed-hook', file, path, ...args],
  })
  const { createRuntime = [], poststop = [] } = container.hooks ?? {}
  const hooks =
    poststop.length > 0 ? { createRuntime, poststop: poststop.map(wrap) } : { createRuntime: createRuntime.map(wrap) }
  return { ...container, hooks }
}

const POLICY = 'bench'

function casesOf(workspace: Workspace): { cases: Case[]; syscalls: number } {
  const { text, syscalls } = realisticPolicy(workspace)
  // A store for each case: learning changes a policy and with it what is cached.
  const withPolicy = (name: string): Store => {
    const store = workspace.store(name)
    storePolicy(store, POLICY, text(POLICY))
    return store
  }
  const program = fixture('exit')
  const enforce = annotations('enforce', POLICY)
  const learn = annotations('learn', POLICY)
  const enforceCase = (name: string, of: typeof hook, cached: boolean): Case => {
    const store = withPolicy(name.replace(/\W+/g, '-'))
    const container = { ...program, annotations: enforce, hooks: { createRuntime: [of('enforce', store)] } }
    const dropCache = () => rmSync(join(store.root, 'cache'), { recursive: true, force: true })
    return { name, container, ...(cached ? {} : { reset: dropCache }) }
  }
  const learnCase = (name: string, of: typeof hook, stages: ('createRuntime' | 'poststop')[]): Case => {
    const store = workspace.store(name.replace(/\W+/g, '-'))
    const hooks = Object.fromEntries(stages.map((stage) => [stage, [of('learn', store)]]))
    const forget = () => rmSync(join(store.root, 'policies'), { recursive: true, force: true })
    return { name, container: { ...program, annotations: learn, hooks }, reset: forget }
  }
  const floorCase = (name: string, file: string, ...args: string[]): Case => {
    const floor: Hook = { path: join(FIXTURES, file), args: [file, ...args] }
    return { name, container: { ...program, hooks: { createRuntime: [floor] } } }
  }
  const pass: Container = { ...program, hooks: { createRuntime: [hook('enforce', withPolicy('pass'))] } }
  const empty: Hook = { path: join(FIXTURES, 'empty-hook'), args: ['empty-hook'] }
  const cases = [
    { name: NONE, container: program },
    { name: EMPTY, container: { ...program, hooks: { createRuntime: [empty] } } },
    { name: 'ours, container without annotations', container: pass },
    enforceCase('enforce, filter cached', hook, true),
    enforceCase('enforce, not cached', hook, false),
    enforceCase('asked each time: enforce, filter cached', directHook, true),
    enforceCase('asked each time: enforce, not cached', directHook, false),
    floorCase('empty hook of Bun', 'empty-hook-bun'),
    floorCase(`libseccomp alone, ${syscalls} syscalls`, 'libseccomp-hook', String(syscalls)),
    learnCase('learn, createRuntime only', hook, ['createRuntime']),
    learnCase('learn, with poststop (alone: that)', hook, ['createRuntime', 'poststop']),
    enforceCase('Node: enforce, filter cached', nodeHook, true),
    enforceCase('Node: enforce, not cached', nodeHook, false),
    learnCase('Node: learn, createRuntime only', nodeHook, ['createRuntime']),
  ]
  return { cases, syscalls }
}
