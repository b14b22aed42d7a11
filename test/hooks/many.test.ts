/** 200 containers learned and 200 enforced, several at a time (TEST_ALL: 1,000 each); 50 learners of one policy at once. */
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import type { Run } from '../../src/generated/policy.ts'
import { encodePolicy } from '../../src/policy/document.ts'
import { until } from '../lib/events.ts'
import { processesWith, settled } from '../lib/processes.ts'
import { namesOf, Sandbox } from '../lib/sandbox.ts'
import { startWaiting } from '../lib/waiting.ts'

const COUNT = process.env.TEST_ALL ? 1000 : 200
const AT_ONCE = 6

/** Runs work(0) to work(count - 1), AT_ONCE at a time. */
async function inParallel<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  let next = 0
  const lane = async () => {
    while (next < count) {
      const index = next++
      results[index] = await work(index)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  return results
}

function processesOf(sandbox: Sandbox): string[] {
  return processesWith(sandbox.directory)
    .map(({ command }) => command)
    .filter((command) => !command.startsWith('runc\0delete'))
}

test(`${COUNT} containers learned, ${AT_ONCE} at a time, into one policy, and as many enforced`, {
  timeout: 600_000,
}, async (t) => {
  const sandbox = await Sandbox.create(t)
  const learned = await inParallel(COUNT, (index) =>
    sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello', 'exit', String(index % 100)] }),
  )
  const wrong = learned.filter(({ exitCode, stdout }, index) => exitCode !== index % 100 || stdout !== 'hello: ok')
  t.same(wrong, [], 'every exit code and output is right')

  const policy = await sandbox.policy()
  t.equal(policy.runs.length, COUNT, 'every run is in the policy')
  const first = policy.runs[0]
  // Those that began when the policy was there already did not watch what it holds.
  const alike = ({ complete, reason, distinct, unwatched = 0, lost }: Run) =>
    JSON.stringify({ complete, reason, calls: distinct + unwatched, lost })
  const others = policy.runs.filter((run) => first === undefined || alike(run) !== alike(first))
  t.same(others, [], 'all complete, all alike')
  t.ok(policy.complete)
  t.equal(encodePolicy(policy), readFileSync(sandbox.policyPath(), 'utf8'))

  // The same program learned once: the same list.
  await sandbox.run({ mode: 'learn', policy: 'once', args: ['/fixtures/act', 'hello', 'exit', '1'] })
  t.same(namesOf(await sandbox.policy('once')), namesOf(policy), 'one and the same policy')

  const enforced = await inParallel(COUNT, (index) =>
    sandbox.run({ mode: 'enforce', args: ['/fixtures/act', 'hello', 'socket', 'exit', String(index % 100)] }),
  )
  const refusal = 'hello: ok\nsocket: Operation not permitted'
  t.same(
    enforced.filter(({ exitCode, stdout }, index) => exitCode !== index % 100 || stdout !== refusal),
    [],
  )
  await until('no process is left', () => processesOf(sandbox).length === 0)
})

const LEARNERS = 50

test(`${LEARNERS} learners at once of one policy lose nothing`, { timeout: 300_000 }, async (t) => {
  const sandbox = await Sandbox.create(t)
  // All of them wait before any of them ends. Each has an ioctl of its own.
  const commands = Array.from({ length: LEARNERS }, (_, index) => 0x1000 + index)
  const learners = await Promise.all(
    commands.map((command) =>
      startWaiting(sandbox, {
        mode: 'learn',
        annotations: { 'io.sandbox.detail': 'args' },
        args: ['/fixtures/act', 'hello', 'wait', 'ioctl', String(command)],
      }),
    ),
  )
  const ends = learners.map(async ({ running }) => {
    running.stdin.end()
    return (await running).exitCode
  })
  t.same(new Set(await Promise.all(ends)), new Set([0]))
  await settled(sandbox.config)
  const policy = await sandbox.policy()
  t.equal(policy.runs.length, LEARNERS)
  t.ok(policy.runs.every(({ complete }) => complete))
  const ioctl = policy.architectures.x86_64?.syscalls.find(({ name }) => name === 'ioctl')
  const values = ioctl?.learned?.values.map(([command]) => Number(command)) ?? []
  t.same(
    commands.filter((command) => !values.includes(command)),
    [],
    'each one is in the policy',
  )
})
