/** The shim under load, and with everything around a container killed at random moments. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { until } from '../lib/events.ts'
import { kill9, processesWith, statusOf } from '../lib/processes.ts'
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

/**
 * The program of the container, which must be filtered whenever it runs: sleeps, so that it can be found. Its command line has the mark.
 */
function unfiltered(mark: string): string[] {
  return processesWith(mark)
    .filter(({ command }) => command.startsWith('/fixtures/act\0'))
    .filter(({ pid }) => !['2', undefined].includes(statusOf(pid, 'Seccomp')))
    .map(({ pid }) => `${pid}: ${statusOf(pid, 'Seccomp')}`)
}

test(`kill -9 at ${KILLS} random moments never leaves a container running unfiltered`, {
  timeout: 280_000,
}, async (t) => {
  const sandbox = await Sandbox.create(t)
  const random = new Random(KILLS)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  let survived = 0
  for (let round = 0; round < KILLS; round++) {
    const mark = `mark-${process.pid}-${round}`
    const id = `${sandbox.newId()}-${mark}`
    const bundle = sandbox.bundle({ hooks: {}, mode: 'enforce', args: ['/fixtures/act', 'wait', mark] })
    const args = ['--config', sandbox.config, ...sandbox.runcArgs('run', '--bundle', bundle, id)]
    const runtime = spawn(SHIM, args, { stdio: ['pipe', 'ignore', 'ignore'] })
    const ended = once(runtime, 'exit')
    await delay(random.below(45))
    // The shim's script (then the runtime), the program that it asks, the helper, runc init: whoever is there at this moment.
    const all = processesWith(id).concat(processesWith(`--pid\0${runtime.pid}\0`))
    const victims = [...all.map(({ pid }) => pid), ...childrenOf(runtime.pid ?? 0)].filter((pid) => pid !== process.pid)
    const victim = victims.length > 0 ? random.pick(victims) : (runtime.pid as number)
    kill9(victim)
    t.same(unfiltered(mark), [])
    await Promise.race([ended, delay(random.below(60))])
    t.same(unfiltered(mark), [])
    if (processesWith(mark).some(({ command }) => command.startsWith('/fixtures/act\0'))) survived++
    runtime.stdin.end()
    await sandbox.shim('delete', '--force', id)
    await ended
    await until(
      'the container is gone',
      () => !processesWith(mark).some(({ command }) => command.startsWith('/fixtures')),
    )
  }
  t.comment(`${survived} of ${KILLS} containers ran nevertheless, filtered`)
  await until('no process is left', () => processesWith(sandbox.directory).length === 0)
})

/** The children of a process, and theirs. */
function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`
  const children = existsSync(path) ? readFileSync(path, 'utf8').split(' ').filter(Boolean).map(Number) : []
  return [...children, ...children.flatMap(childrenOf)]
}
