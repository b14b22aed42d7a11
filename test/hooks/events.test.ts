/** io.sandbox.detail=events: every call of a container as a line of its own, in the store, on stock runc. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { namesOf, OCI_SANDBOX, Sandbox } from '../lib/sandbox.ts'

const detail = { annotations: { 'io.sandbox.detail': 'events' } }
const directory = (sandbox: Sandbox, policy = 'test') => join(sandbox.store, 'policies', policy, 'events')
const lines = (text: string) => text.split('\n').filter((line) => line !== '')

test('what is written can be imported, and is the same set of calls', async (t) => {
  const sandbox = await Sandbox.create(t)
  const args = ['/fixtures/act', 'unix', 'hello']
  t.match(await sandbox.run({ mode: 'learn', args, ...detail }), { exitCode: 0 })
  const policy = await sandbox.policy()
  const [run] = policy.runs
  t.match(run, { detail: 'events', backend: 'ptrace-syscall', complete: true, paths: { complete: true } })
  t.match(run?.events, { written: run?.calls, dropped: 0, failed: 0 })
  t.same(readdirSync(directory(sandbox)), [`${run?.id}.0.ndjson.gz`], 'compressed, and nothing else is left')

  const { stdout, stderr } = await sandbox.cli('events', 'test')
  t.equal(stderr, '')
  t.equal(lines(stdout).length, run?.calls)
  t.match(JSON.parse(lines(stdout)[0] as string), { containerId: run?.container, processId: 1 })
  const file = join(sandbox.directory, 'events.ndjson')
  writeFileSync(file, `${stdout}\n`)
  t.match(await sandbox.cli('import', '--format', 'tracee', '--name', 'imported', file), { exitCode: 0 })
  const learned = policy.architectures.x86_64?.syscalls.flatMap(({ name, since }) => (since ? [name ?? ''] : []))
  const imported = namesOf(await sandbox.policy('imported'))
  t.same(
    learned?.filter((name) => !imported.includes(name)),
    [],
  )

  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'], ...detail })
  const all = await sandbox.cli('events', 'test')
  const one = await sandbox.cli('events', 'test', '--run', run?.id ?? '')
  t.equal(one.stdout, stdout)
  t.ok(all.stdout.startsWith(stdout) && all.stdout.length > stdout.length)

  t.match(await sandbox.cli('policy', 'rename', 'test', 'other'), { exitCode: 0 })
  t.equal((await sandbox.cli('events', 'other')).stdout, all.stdout)
  t.match(await sandbox.cli('policy', 'rm', 'other'), { exitCode: 0 })
  t.equal(existsSync(directory(sandbox, 'other')), false)
})

test('no events: says so', async (t) => {
  const sandbox = await Sandbox.create(t)
  t.match(await sandbox.cli('events', 'test'), { exitCode: 1, stderr: /there is no policy test/ })
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  t.match(await sandbox.cli('events', 'test'), { stderr: /no run with io.sandbox.detail=events has left events/ })
})

test('--follow prints what comes, and ends with the container', { timeout: 60_000 }, async (t) => {
  const sandbox = await Sandbox.create(t)
  const script = 'import sys; print("ready", flush=True); sys.stdin.read()'
  const bundle = sandbox.bundle({ mode: 'learn', args: ['/usr/bin/python3', '-S', '-E', '-c', script], ...detail })
  const id = sandbox.newId()
  const container = spawn('runc', sandbox.runcArgs('run', '--bundle', bundle, id), {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(container, 'exit')
  t.teardown(() => sandbox.runc('delete', '--force', id))
  await once(container.stdout, 'data')
  const reader = spawn(OCI_SANDBOX, ['--config', sandbox.config, 'events', 'test', '--follow'])
  const closed = once(reader, 'close')
  let text = ''
  let ask = true
  for await (const part of reader.stdout) {
    text += part
    if (!ask) continue
    ask = false // it has printed something while the container lives
    t.equal(container.exitCode, null)
    container.stdin.end()
  }
  t.same(await closed, [0, null])
  await ended
  t.equal(JSON.parse(lines(text).at(-1) as string).eventName, 'exit_group')
  t.equal(lines(text).length, (await sandbox.policy()).runs[0]?.calls)
})
