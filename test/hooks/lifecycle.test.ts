/** What can happen to a tracer, a disk, a container while it is learned or enforced. */
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { until } from '../lib/events.ts'
import { processWithAll } from '../lib/processes.ts'
import { namesOf, resultOf, Sandbox } from '../lib/sandbox.ts'
import { startWaiting } from '../lib/waiting.ts'

/** The tracer of a sandbox's container, by its directory in the command line. Undefined when there is none. */
function tracerOf(sandbox: Sandbox): number | undefined {
  return processWithAll('oci-sandbox-tracer', sandbox.directory)
}

/** The record of the one run that goes on. */
function recordOf(sandbox: Sandbox): string {
  const runs = join(sandbox.store, 'policies/test/runs')
  const [name] = readdirSync(runs).filter((file) => file.endsWith('.ndjson'))
  return name === undefined ? '' : readFileSync(join(runs, name), 'utf8')
}

test('kill -9 of the tracer while learning: the container goes on, the run is partial, what was seen is kept', async (t) => {
  const sandbox = await Sandbox.create(t)
  const { running } = await startWaiting(sandbox, {
    mode: 'learn',
    args: ['/fixtures/act', 'hello', 'wait', 'socket', 'exit', '7'],
  })
  const pid = tracerOf(sandbox)
  if (pid === undefined) throw new Error('there is no tracer')
  // With eBPF a first sight is on its way to the record for up to half a second.
  await until('the record has write', () => recordOf(sandbox).includes('"nr":1}'))
  process.kill(pid, 'SIGKILL')
  await until('the tracer is gone', () => tracerOf(sandbox) === undefined)
  running.stdin.end()
  t.match(resultOf(await running), { exitCode: 7, stdout: 'hello: ok\nwait: ready\nsocket: ok' }, 'unharmed')
  const policy = await sandbox.policy()
  t.match(policy, { complete: false, runs: [{ complete: false, reason: 'the tracer was ended before the program' }] })
  t.ok(namesOf(policy).includes('write'), 'what came before is kept')
  t.notOk(namesOf(policy).includes('socket'), 'what came after was not seen')
  t.match((await sandbox.cli('policy', 'list')).stdout, /test +partial +1/)

  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  t.equal((await sandbox.policy()).complete, true, 'a complete run makes it complete')
})

test('an empty record: left alone while its hook may be at work, and a partial run when that was long ago', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const record = join(sandbox.store, 'policies/test/runs/20200101T000000000Z-000000000000.ndjson')
  writeFileSync(record, '')
  t.match(await sandbox.policy(), { complete: true, runs: [{ complete: true }] })
  t.ok(existsSync(record))
  utimesSync(record, new Date(0), new Date(0))
  t.match((await sandbox.policy()).runs, [{ complete: false }, { complete: true }])
  t.notOk(existsSync(record))
})

test('kill -9 of the tracer between create and start of an enforced container ends the container', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const id = sandbox.newId()
  const bundle = sandbox.bundle({ mode: 'enforce', args: ['/fixtures/act', 'hello'] })
  await execa('runc', sandbox.runcArgs('create', '--bundle', bundle, id), { stdio: 'ignore' })
  const state = async () => JSON.parse(String((await sandbox.runc('state', id)).stdout))
  t.match(await state(), { status: 'created' })
  const pid = tracerOf(sandbox)
  if (pid === undefined) throw new Error('there is no tracer')
  process.kill(pid, 'SIGKILL')
  await until('the container has ended', async () => (await state()).status === 'stopped')
  t.not((await sandbox.runc('start', id)).exitCode, 0, 'it cannot be started')
  await sandbox.runc('delete', '--force', id)
})

test('create and start with a pause between', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const id = sandbox.newId()
  const bundle = sandbox.bundle({ mode: 'enforce', args: ['/fixtures/act', 'hello', 'socket', 'exit', '5'] })
  const output = join(sandbox.directory, 'output')
  await execa('sh', [
    '-c',
    `runc --root "$1" create --bundle "$2" "$3" >"$4" 2>&1 </dev/null`,
    'sh',
    join(sandbox.directory, 'runc'),
    bundle,
    id,
    output,
  ])
  t.equal((await sandbox.runc('start', id)).exitCode, 0)
  await until(
    'it has ended',
    async () => JSON.parse(String((await sandbox.runc('state', id)).stdout)).status === 'stopped',
  )
  t.equal(readFileSync(output, 'utf8'), 'hello: ok\nsocket: Operation not permitted\n')
  await sandbox.runc('delete', id)
  await until('the tracer is gone', () => tracerOf(sandbox) === undefined)
})

test('signals and exit codes are those of the program', async (t) => {
  const sandbox = await Sandbox.create(t)
  for (const [args, exitCode] of [
    [['exit', '42'], 42],
    [['hello'], 0],
    [['exec', '/usr/bin/false'], 1],
  ] as const) {
    const plain = await sandbox.run({ args: ['/fixtures/act', ...args] })
    t.equal(plain.exitCode, exitCode)
    for (const mode of ['learn', 'enforce'] as const) {
      t.same(await sandbox.run({ mode, args: ['/fixtures/act', ...args] }), plain, `${mode} ${args.join(' ')}`)
    }
  }
})

test('a program that is not there: the error is the runtime’s own, and nothing was learned', async (t) => {
  const sandbox = await Sandbox.create(t)
  const args = ['/fixtures/absent']
  const plain = await sandbox.run({ args })
  t.match(plain.stderr, /no such file or directory/)
  const learned = await sandbox.run({ mode: 'learn', args })
  t.equal(learned.exitCode, plain.exitCode)
  t.match(learned.stderr, /no such file or directory/)
  t.match(await sandbox.policy(), {
    complete: false,
    architectures: {},
    runs: [{ complete: false, reason: 'no-exec' }],
  })
  t.match((await sandbox.run({ mode: 'enforce', args })).stderr, /allows nothing, as no run has been learned/)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act'] })
  t.match((await sandbox.run({ mode: 'enforce', args })).stderr, /no such file or directory/, 'also when enforced')
})

test('a full disk while learning', async (t) => {
  const sandbox = await Sandbox.create(t)
  // A store that holds a few pages: a record does not fit.
  await execa('mkdir', ['-p', sandbox.store])
  await execa('mount', ['-t', 'tmpfs', '-o', 'size=16k,mode=755', 'tmpfs', sandbox.store])
  t.teardown(() => execa('umount', [sandbox.store], { reject: false }))
  await execa('sh', ['-c', 'cat /dev/zero >"$1/filler" 2>/dev/null || true', 'sh', sandbox.store])
  const full = await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  t.not(full.exitCode, 0)
  t.equal(full.stdout, '', 'what cannot be recorded is not started')
  t.match(full.stderr, /No space left on device|ENOSPC/)
  await execa('rm', [join(sandbox.store, 'filler')])
  await execa('mount', ['-o', 'remount,size=4m', sandbox.store])
  t.match(await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] }), { exitCode: 0, stdout: 'hello: ok' })
  t.match(await sandbox.policy(), { complete: true, runs: [{ complete: true }] }, 'nothing is left of the failed one')
})

test('the journal says what became of each container', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  await sandbox.run({ mode: 'enforce', args: ['/fixtures/act', 'hello'] })
  const container = /^oci-sandbox-test-\w+-2$/
  t.match(sandbox.journal(), [
    { event: 'learned', message: /^policy test: run complete, \d+ calls, \d+ different, \d+ new, 1 task$/ },
    { event: 'installed', container },
    { event: 'in-force', container },
  ])
  // A container whose init another tracer holds already: the helper refuses, after the hook has become the helper.
  const bundle = sandbox.bundle({
    mode: 'enforce',
    args: ['/fixtures/act', 'hello'],
    hooks: { createRuntime: [sandbox.hook('enforce'), sandbox.hook('enforce')] },
  })
  const twice = await sandbox.runc('run', '--bundle', bundle, sandbox.newId())
  t.match(
    twice.stderr,
    /oci-sandbox-tracer: enforce: cannot attach to pid \d+: its thread \d+ is traced by pid \d+ already/,
  )
  t.equal(twice.stdout, '')
  t.match(sandbox.journal().at(-1), { event: /refused|ended|killed/, container: /-3$/ })
  t.ok(sandbox.journal().some(({ event, message }) => event === 'refused' && /is traced by pid/.test(message)))
})

test('logLevel of the host configuration says what goes into the journal', async (t) => {
  const quiet = await Sandbox.create(t, { logLevel: 'error' })
  await quiet.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  t.match(await quiet.run({ mode: 'enforce', args: ['/fixtures/act', 'hello'] }), { stdout: 'hello: ok' })
  const journal = join(quiet.store, 'journal.ndjson')
  t.equal(existsSync(journal) ? readFileSync(journal, 'utf8') : '', '', 'nothing went wrong')
  await quiet.run({ mode: 'enforce', policy: 'absent', args: ['/fixtures/act', 'hello'] })
  t.match(quiet.journal(), [{ event: 'refused', code: 'POLICY_NOT_FOUND' }])

  const loud = await Sandbox.create(t, { logLevel: 'debug' })
  mkdirSync(loud.store, { mode: 0o755 })
  await loud.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  t.match(loud.journal(), [
    { event: 'decided', message: /^hook learn, creating: .*"kind":"learn","policy":"test"/ },
    { event: 'decided', message: /^hook learn, stopped: / },
  ])
})
