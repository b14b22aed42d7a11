/** What a policy costs while the program runs: one system call, and a server under load. */
import { execFileSync } from 'node:child_process'
import { Workspace as DemoWorkspace } from '../demo/container.ts'
import { Redis } from '../demo/redis.ts'
import type { Workspace } from './container.ts'
import { enforced, fixture, ociProfile, realisticPolicy, storePolicy } from './sandbox.ts'
import { median, quantile, shuffled } from './statistics.ts'
import type { Table } from './table.ts'

const CALL_ROUNDS = 9
const REDIS_ROUNDS = 5
/** Calls of each kind in one run. */
const CALLS = 2_000_000
/** Requests of each kind in one load, from 20 clients; loads of each server. */
const REQUESTS = 100_000
const LOADS = 6

const POLICY = 'bench'

export async function benchEnforce(workspace: Workspace, rounds?: number): Promise<Table[]> {
  return [benchCalls(workspace, rounds ?? CALL_ROUNDS), await benchRedis(rounds ?? REDIS_ROUNDS)]
}

function benchCalls(workspace: Workspace, rounds: number): Table {
  const { text, syscalls } = realisticPolicy(workspace)
  const store = workspace.store('calls')
  storePolicy(store, POLICY, text(POLICY))
  const program = fixture('calls', String(CALLS))
  const cases = {
    'no filter': workspace.prepare(program),
    'our filter': workspace.prepare(enforced(program, store, POLICY)),
    'the same policy as linux.seccomp': workspace.prepare({ ...program, seccomp: ociProfile(store, POLICY) }),
  }
  const times = Object.entries(cases).map(([name, run]) => ({ name, run, getppid: [0], getpgid: [0] }))
  for (const one of times) one.getppid.length = one.getpgid.length = 0
  for (let round = 0; round < rounds; round++) {
    for (const { run, getppid, getpgid } of shuffled(times)) {
      const found = new Map(
        run()
          .stdout.trim()
          .split('\n')
          .map((line) => line.split(' ') as [string, string]),
      )
      getppid.push(Number(found.get('getppid')))
      getpgid.push(Number(found.get('getpgid')))
    }
  }
  const [plain] = times
  const cell = (values: number[], base: number[] = []) =>
    `${median(values).toFixed(0)} (${(median(values) / median(base)).toFixed(2)}x)`
  return {
    title: 'What a filter costs a system call',
    header: ['ns a call (ratio to no filter)', 'getppid()', 'getpgid(0), argument checked'],
    rows: times.map(({ name, getppid, getpgid }) => [
      name,
      cell(getppid, plain?.getppid),
      cell(getpgid, plain?.getpgid),
    ]),
    notes: [`${rounds} rounds of ${CALLS.toLocaleString('en')} calls each; the policy allows ${syscalls} syscalls.`],
  }
}

async function benchRedis(rounds: number): Promise<Table> {
  const rates: Record<'plain' | 'enforce', number[]> = { plain: [], enforce: [] }
  const ratios: number[] = []
  using workspaces = new DisposableStack()
  const demoWorkspace = () => workspaces.adopt(new DemoWorkspace(), (workspace) => workspace.remove())
  const plainWorkspace = demoWorkspace()
  const enforceWorkspace = demoWorkspace()
  {
    await using redis = await Redis.start(enforceWorkspace, 'learn')
    load(redis, 1000)
  }
  for (let round = 0; round < rounds; round++) {
    // Both servers are there at once and are loaded in turn; each round has new ones, as one process may be luckier than another.
    await using plain = await Redis.start(plainWorkspace, 'plain')
    await using enforce = await Redis.start(enforceWorkspace, 'enforce')
    const servers = [
      { mode: 'plain', redis: plain },
      { mode: 'enforce', redis: enforce },
    ] as const
    for (const { redis } of servers) load(redis, REQUESTS / 10) // not measured
    for (let count = 0; count < LOADS; count++) {
      const found = { plain: 0, enforce: 0 }
      for (const { mode, redis } of shuffled(servers)) {
        found[mode] = load(redis, REQUESTS)
        rates[mode].push(found[mode])
      }
      ratios.push(found.enforce / found.plain)
    }
  }
  const row = (name: string, values: number[]) => [
    name,
    ...[0.5, 0.1, 0.9].map((share) => Math.round(quantile(values, share)).toLocaleString('en')),
  ]
  return {
    title: 'What a policy costs Redis',
    header: ['requests/s, SET and GET', 'median', 'p10', 'p90'],
    rows: [row('plain', rates.plain), row('enforced', rates.enforce)],
    notes: [
      `${rounds} pairs of servers, ${LOADS} loads each of ${(2 * REQUESTS).toLocaleString('en')} requests from 20 clients on a Unix socket. Enforced against plain, pair by pair: median ${median(ratios).toFixed(3)}, p10 ${quantile(ratios, 0.1).toFixed(3)}, p90 ${quantile(ratios, 0.9).toFixed(3)}.`,
    ],
  }
}

/** Requests per second; synchronous, as nothing else is to happen meanwhile. */
function load(redis: Redis, requests: number): number {
  const options = ['-t', 'set,get', '-n', String(requests), '-c', '20', '--csv']
  const stdout = execFileSync('redis-benchmark', ['-s', redis.file('redis.sock'), ...options], { encoding: 'utf8' })
  const found = [...stdout.matchAll(/^"(?:SET|GET)","([\d.]+)"/gm)].map(([, rate]) => Number(rate))
  if (found.length !== 2) throw new Error(`redis-benchmark: SET and GET rates expected, found: ${stdout}`)
  return found.length / found.reduce((seconds, rate) => seconds + 1 / rate, 0)
}
