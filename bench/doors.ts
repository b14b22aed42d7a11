/** What each door adds to the start of an enforced container whose filter is in the cache, against the same door without us. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Container, Workspace } from './container.ts'
import { FIXTURES, SHIM, TRACER } from './paths.ts'
import { annotations, directHook, fixture, hook, realisticPolicy, storePolicy } from './sandbox.ts'
import { median, medianDifference, quantile, shuffled } from './statistics.ts'
import type { Table } from './table.ts'

const ROUNDS = 40
/** What the project wants to stay below. ms. */
const GOALS = { hook: 6, shim: 10 }
/** For what a container leaves behind. ms. */
const PAUSE = 10
const POLICY = 'bench'

interface Case {
  readonly name: string
  /** The case that it is compared with; none for those. */
  readonly base?: string
  readonly goal?: number
  /** Command lines; those before `timed` are not. */
  readonly timed: readonly (readonly string[])[]
  readonly after?: readonly string[]
}

export async function benchDoors(workspace: Workspace, rounds = ROUNDS): Promise<Table> {
  const cases = casesOf(workspace)
  const times = new Map<string, number[]>(cases.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const one of shuffled(cases)) {
      await pause(PAUSE)
      const ms = one.timed.reduce((sum, line) => sum + run(line), 0)
      if (one.after !== undefined) run(one.after)
      if (round > 0) times.get(one.name)?.push(ms) // the first one fills the caches
    }
  }
  const of = (name: string) => times.get(name) ?? []
  const added = ({ name, base }: Case) => (base === undefined ? Number.NaN : medianDifference(of(name), of(base)))
  const rows = cases.map((one) => [
    one.name,
    median(of(one.name)).toFixed(1),
    quantile(of(one.name), 0).toFixed(1),
    quantile(of(one.name), 0.9).toFixed(1),
    one.base === undefined ? '' : signed(added(one)),
    one.base === undefined ? '' : signed(quantile(of(one.name), 0) - quantile(of(one.base), 0)),
  ])
  const goals = cases
    .filter(({ goal }) => goal !== undefined)
    .map(
      (one) =>
        `${one.name}: the goal is at most ${one.goal} ms: ${added(one) <= (one.goal as number) ? 'met' : 'MISSED'}.`,
    )
  return {
    title: 'What a door adds to the start of a container',
    header: ['door', 'ms', 'least', 'p90', 'added', 'added to least'],
    rows,
    notes: [`${rounds} rounds.`, goals.join('\n')],
  }
}

function signed(ms: number): string {
  return `${ms < 0 ? '' : '+'}${ms.toFixed(1)}`
}

function run([program = '', ...args]: readonly string[]): number {
  const start = process.hrtime.bigint()
  // Not pipes: a container that outlives create would keep them open.
  const { status, error } = spawnSync(program, args, { stdio: 'ignore' })
  const ms = Number(process.hrtime.bigint() - start) / 1e6
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? `exit code ${status}`}`)
  return ms
}

function casesOf(workspace: Workspace): Case[] {
  const store = workspace.store('doors')
  storePolicy(store, POLICY, realisticPolicy(workspace).text(POLICY))
  const program = fixture('exit')
  const enforced: Container = { ...program, annotations: annotations('enforce', POLICY) }
  const hooked: Container = { ...enforced, hooks: { createRuntime: [hook('enforce', store)] } }
  const asked: Container = { ...enforced, hooks: { createRuntime: [directHook('enforce', store)] } }
  const shim = [SHIM, '--config', store.config]
  const whole = (runtime: readonly string[], container: Container) => {
    const { id, bundle, state } = workspace.bundle(container)
    return { timed: [[...runtime, '--root', state, 'run', '--bundle', bundle, id]] }
  }
  const steps = (runtime: readonly string[], container: Container) => {
    const { id, bundle, state } = workspace.bundle(container)
    const line = (...args: string[]) => [...runtime, '--root', state, ...args]
    return { timed: [line('create', '--bundle', bundle, id), line('start', id)], after: line('delete', '--force', id) }
  }
  return [
    { name: 'runc run', ...whole(['runc'], program) },
    { name: 'runc run, hook', base: 'runc run', goal: GOALS.hook, ...whole(['runc'], hooked) },
    { name: 'runc run, hook that is asked each time', base: 'runc run', ...whole(['runc'], asked) },
    { name: 'runc run, shim', base: 'runc run', goal: GOALS.shim, ...whole(shim, enforced) },
    { name: 'runc create and start', ...steps(['runc'], program) },
    {
      name: 'runc create and start, hook',
      base: 'runc create and start',
      goal: GOALS.hook,
      ...steps(['runc'], hooked),
    },
    { name: 'runc create and start, shim', base: 'runc create and start', goal: GOALS.shim, ...steps(shim, enforced) },
    ...podmanCases(workspace, store.config),
  ]
}

/** podman itself takes many times as long: what is added must be seen beside its own spread. */
function podmanCases(workspace: Workspace, config: string): Case[] {
  const directory = workspace.folder('podman')
  const hooks = (name: string) => {
    const target = workspace.folder(`hooks-${name}`)
    const source = join(import.meta.dirname, `../hooks/hooks.d/oci-sandbox-${name}.json.in`)
    const manifest = JSON.parse(readFileSync(source, 'utf8'))
    manifest.hook.path = TRACER
    manifest.hook.args.push('--config', config)
    rmSync(target, { recursive: true, force: true })
    mkdirSync(target)
    writeFileSync(join(target, 'hook.json'), JSON.stringify(manifest))
    return ['--hooks-dir', target]
  }
  const podman = (globals: readonly string[], options: readonly string[]) => [
    ...['podman', '--root', join(directory, 'root'), '--runroot', join(directory, 'run'), '--runtime', 'runc'],
    ...['--cgroup-manager', 'cgroupfs', '--events-backend', 'none', '--storage-driver', 'vfs', ...globals],
    ...['run', '--rm', '--network', 'none', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000', ...options],
    ...['--volume', `${FIXTURES}:/bench:ro`, '--rootfs', workspace.rootfs, '/bench/exit'],
  ]
  const annotated = Object.entries(annotations('enforce', POLICY)).flatMap(([key, value]) => [
    '--annotation',
    `${key}=${value}`,
  ])
  const base = 'podman run'
  return [
    { name: base, timed: [podman([], [])] },
    { name: 'podman run, hooks-dir', base, goal: GOALS.hook, timed: [podman(hooks('enforce'), annotated)] },
    { name: 'podman run, precreate', base, goal: GOALS.shim, timed: [podman(hooks('precreate'), annotated)] },
    {
      name: 'podman run, shim',
      ...{ base, goal: GOALS.shim },
      timed: [podman(['--runtime', SHIM, '--runtime-flag', `config=${config}`], annotated)],
    },
  ]
}
