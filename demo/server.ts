/** The long-lived program: Redis is learned under load, then enforced under the same load, and refused what is new. */
import { existsSync, rmSync } from 'node:fs'
import type { Mode } from './bundle.ts'
import type { Workspace } from './container.ts'
import { showPolicy } from './policy.ts'
import { REDIS_POLICY, Redis } from './redis.ts'
import { inTurn, median, type Report } from './report.ts'

const RUNS = 3

type Costs = Record<Mode, { startMs: number; rate: number }[]>

export async function showServer(report: Report, workspace: Workspace): Promise<void> {
  report.stage(`Learning ${REDIS_POLICY} under load in ${RUNS} runs`)
  const learn = await repeat(report, workspace, ['learn'])
  const syscalls = await showPolicy(report, workspace.config, REDIS_POLICY, RUNS)
  report.stage('Redis under its policy, and without it in turn, under the same load')
  const costs = { ...(await repeat(report, workspace, ['plain', 'enforce'])), learn: learn.learn }
  report.summary('Redis', `learned in ${RUNS} runs: ${syscalls} syscalls; enforced, it does the same load`)
  const medianOf = (key: 'startMs' | 'rate') => (mode: Mode) => median(costs[mode].map((cost) => cost[key]))
  report.costs('  start to its first line', `ms (medians of ${RUNS})`, medianOf('startMs'))
  report.costs('  load, SET and GET', `requests/s (medians of ${RUNS})`, medianOf('rate'))
  await showFork(report, workspace)
}

/** Servers in some modes in turn: each starts, is loaded and shuts down. */
async function repeat(report: Report, workspace: Workspace, modes: Mode[]): Promise<Costs> {
  const costs: Costs = { plain: [], learn: [], enforce: [] }
  for (const [count, mode] of inTurn(modes, RUNS)) {
    await using redis = await Redis.start(workspace, mode)
    const rate = await redis.load()
    costs[mode].push({ startMs: redis.startMs, rate })
    const cost = `started in ${Math.round(redis.startMs)} ms, did ${Math.round(rate).toLocaleString('en')} requests/s`
    report.check(`${mode}, server ${count} of ${RUNS}: ${cost}`, rate > 0, `${rate} requests/s`)
  }
  return costs
}

/** BGSAVE makes Redis fork, which it never did while it was learned. */
async function showFork(report: Report, workspace: Workspace): Promise<void> {
  report.stage('Redis is told to start a process: BGSAVE, which it was not learned with')
  {
    await using redis = await Redis.start(workspace, 'plain')
    const answer = await redis.command('BGSAVE')
    report.check('without a sandbox the process starts', answer === 'Background saving started', answer)
    await redis.logged('Background saving terminated with success')
    rmSync(redis.file('dump.rdb'))
  }
  await using redis = await Redis.start(workspace, 'enforce')
  const answer = await redis.command('BGSAVE')
  if (answer.startsWith('ERR')) await redis.logged("Can't save in background")
  const line = redis.log.split('\n').find((text) => text.includes("Can't save in background")) ?? ''
  report.detail(`redis-cli BGSAVE: ${answer}\n${line}`)
  const denied = answer.startsWith('ERR') && line.includes('Operation not permitted')
  report.check('enforced: the fork was refused', denied && !existsSync(redis.file('dump.rdb')), `${answer}, ${line}`)
  const rate = await redis.load()
  const serving = (await redis.command('PING')) === 'PONG' && rate > 0
  report.check('enforced: the server goes on serving', serving, `${rate} requests/s`)
  const result = `${denied ? 'refused' : 'NOT refused'}; the server ${serving ? 'went on' : 'STOPPED'} serving`
  report.summary('  BGSAVE, never learned', result)
}
