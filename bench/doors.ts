/** What each door adds to the start of an enforced container whose filter is in the cache, against the same door without us. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Workspace } from './container.ts'
import { type Case, Ground, POLICY } from './doors/case.ts'
import { containerdCases, dockerCases } from './doors/engines.ts'
import { podmanCases, podmanCrunCases } from './doors/podman.ts'
import { crunCases, runcCases } from './doors/runtimes.ts'
import { realisticPolicy } from './sandbox.ts'
import { median, medianDifference, quantile, shuffled } from './statistics.ts'
import type { Table } from './table.ts'

const ROUNDS = 100
/** For what a container leaves behind. ms. */
const PAUSE = 10

export async function benchDoors(workspace: Workspace, rounds = ROUNDS): Promise<Table> {
  const ground = new Ground(workspace, realisticPolicy(workspace).text(POLICY))
  const cases = [
    ...runcCases(ground),
    ...crunCases(ground),
    ...podmanCases(ground),
    ...podmanCrunCases(ground),
    ...(await containerdCases(ground)),
    ...(await dockerCases(ground)),
  ]
  const times = new Map<string, number[]>(cases.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const { name, measure } of shuffled(cases)) {
      await pause(PAUSE)
      const ms = await measure()
      if (round > 0) times.get(name)?.push(ms) // the first one fills the caches
    }
  }
  return table(cases, times, rounds)
}

function table(cases: readonly Case[], times: ReadonlyMap<string, readonly number[]>, rounds: number): Table {
  const of = (name: string) => times.get(name) ?? []
  const least = (name: string) => quantile(of(name), 0)
  const added = ({ name, base = '' }: Case) => medianDifference(of(name), of(base))
  const rows = cases.map((one) => [
    one.name,
    median(of(one.name)).toFixed(1),
    least(one.name).toFixed(1),
    quantile(of(one.name), 0.9).toFixed(1),
    one.base === undefined ? '' : signed(added(one)),
    one.base === undefined ? '' : signed(least(one.name) - least(one.base)),
  ])
  const goals = cases
    .filter((one): one is Case & { goal: number } => one.goal !== undefined)
    .map((one) => `${one.name}: the goal is at most ${one.goal} ms: ${added(one) <= one.goal ? 'met' : 'MISSED'}.`)
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
