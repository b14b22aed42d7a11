/** The shim under load, and with everything around a container killed at random moments. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { until } from '../lib/events.ts'
import { kill9, type Process, processesWith, statusOf } from '../lib/processes.ts'
import { Random } from '../lib/random.ts'
import { Sandbox, SHIM } from '../lib/sandbox.ts'

const STARTS = 100
const AT_ONCE = 6
/** How often something is killed. */
const KILLS = process.env.TEST_ALL ? 300 : 24

async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}

test(`${STARTS} enforced starts, ${AT_ONCE} at a time: exit codes, and nothing left`, {
  timeout: 200_000,
}, async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello', 'exit', '3'] })
  const wrong: unknown[] = []
  await inParallel(STARTS, async (index) => {
    const args = ['/fixtures/act', 'hello', 'socket', 'exit', String(index % 100)]
    const bundle = sandbox.bundle({ hooks: {}, mode: 'enforce', args })
    const result = await sandbox.shim('run', '--bundle', bundle, sandbox.newId())
    const { exitCode, stdout, stderr } = result
    const right = exitCode === index % 100 && stdout === 'hello: ok\nsocket: Operation not permitted' && stderr === ''
    if (!right) wrong.push(result)
  })
  t.same(wrong, [])
  t.same(sandbox.kept(), [])
  await until('no process is left', () => processesWith(sandbox.directory).length === 0)
})

function running(mark: string): Process[] {
  return processesWith(mark).filter(({ command }) => command.startsWith('/fixtures/act\0'))
}

/**
 * The program of the container, which must be filtered whenever it runs: sleeps, so that it can be found. Its command line has the mark.
 */
function unfiltered(mark: string): string[] {
  return running(mark)
    .filter(({ pid }) => !['2', undefined].includes(statusOf(pid, 'Seccomp')))
    .map(({ pid }) => `${pid}: ${statusOf(pid, 'Seccomp')}`)
}

test(`kill -9 at ${KILLS} random moments never leaves a container running unfiltered`, {
  timeout: 280_000,
}, async (t) => {
  const sandbox = await Sandbox.create(t)
  const random = new Random(KILLS)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello', 'wait'] })
  let survived = 0
  const wild: string[] = []
  for (let round = 0; round < KILLS; round++) {
    const mark = `mark-${process.pid}-${round}`
    const id = `${sandbox.newId()}-${mark}`
    const bundle = sandbox.bundle({ hooks: {}, mode: 'enforce', args: ['/fixtures/act', 'wait', mark] })
    const args = ['--config', sandbox.config, ...sandbox.runcArgs('run', '--bundle', bundle, id)]
    const runtime = spawn(SHIM, args, { stdio: ['pipe', 'ignore', 'ignore'] })
    const ended = once(runtime, 'exit')
    await delay(random.below(150))
    // The shim's script (then the runtime), the program that it asks, the helper, runc init, the container's program: whoever is there.
    const all = [...processesWith(sandbox.directory), ...processesWith(mark)].map(({ pid }) => pid)
    const victims = [...new Set([...all, ...childrenOf(runtime.pid as number)])]
    // The first round kills nothing: it shows that the program would be seen.
    if (round === 0) await until('the program runs', () => running(mark).length > 0)
    else if (victims.length > 0) kill9(random.pick(victims))
    // What the kill has set going is over soon; a program that starts meanwhile is seen, and stays there until its input ends.
    let ran = false
    for (const deadline = Date.now() + 100; Date.now() < deadline; await delay(2)) {
      wild.push(...unfiltered(mark))
      ran ||= running(mark).length > 0
    }
    if (ran) survived++
    runtime.stdin.end()
    await sandbox.shim('delete', '--force', id)
    await ended
    await until('the container is gone', () => running(mark).length === 0)
  }
  t.same(wild, [])
  t.ok(survived > 0)
  t.comment(`${survived} of ${KILLS} containers ran nevertheless, filtered`)
  await until('no process is left', () => processesWith(sandbox.directory).length === 0)
})

/** The children of a process, and theirs. */
function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`
  const children = existsSync(path) ? readFileSync(path, 'utf8').split(' ').filter(Boolean).map(Number) : []
  return [...children, ...children.flatMap(childrenOf)]
}
