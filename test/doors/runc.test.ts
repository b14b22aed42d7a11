/** oci-sandbox-runtime in runc's place: learn, enforce, refuse, and nothing left of it. */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { until } from '../lib/events.ts'
import { type Container, namesOf, resultOf, Sandbox, SHIM } from '../lib/sandbox.ts'

/** A bundle without hooks: the shim adds them. */
function bundleOf(sandbox: Sandbox, container: Container): string {
  return sandbox.bundle({ hooks: {}, ...container })
}

const run = (sandbox: Sandbox, container: Container) =>
  sandbox.shim('run', '--bundle', bundleOf(sandbox, container), sandbox.newId())

for (const noNewPrivileges of [true, false]) {
  test(`run: learn, enforce, refuse; noNewPrivileges ${noNewPrivileges}`, async (t) => {
    const sandbox = await Sandbox.create(t)
    const act = (mode: 'learn' | 'enforce' | undefined, ...args: string[]) =>
      run(sandbox, { noNewPrivileges, ...(mode ? { mode } : {}), args: ['/fixtures/act', ...args] })
    const plain = { exitCode: 3, stdout: 'hello: ok', stderr: '' }
    t.same(await act(undefined, 'hello', 'exit', '3'), plain, 'without annotations nothing changes')
    t.same(await act('learn', 'hello', 'exit', '3'), plain)
    t.match(await sandbox.policy(), { complete: true, runs: [{ program: { path: '/fixtures/act' } }] })
    t.notOk(namesOf(await sandbox.policy()).includes('execve'), "none of runc's calls")
    t.same(await act('enforce', 'hello', 'exit', '3'), plain)
    t.same(await act('enforce', 'hello', 'socket'), {
      exitCode: 0,
      stdout: 'hello: ok\nsocket: Operation not permitted',
      stderr: '',
    })
    t.same(sandbox.kept(), [], 'nothing is kept of containers that have ended')
  })
}

test('create, start, delete; the bundle stays as it is', async (t) => {
  const sandbox = await Sandbox.create(t)
  for (const mode of ['learn', 'enforce'] as const) {
    const bundle = bundleOf(sandbox, { mode, args: ['/fixtures/act', 'hello'] })
    mkdirSync(join(bundle, 'beside'))
    const output = join(sandbox.directory, mode)
    const before = readFileSync(join(bundle, 'config.json'))
    const id = sandbox.newId()
    const pidFile = join(bundle, 'pid')
    t.equal(await sandbox.shimInto(output, bundle, 'create', '--pid-file', pidFile, id), 0)
    t.equal(sandbox.kept().length, 1)
    const state = JSON.parse((await sandbox.shim('state', id)).stdout)
    t.equal(String(state.pid), readFileSync(pidFile, 'utf8'))
    t.same(readdirSync(state.bundle).sort(), ['beside', 'config.json'], 'what is beside config.json can be reached')
    t.match(await sandbox.shim('start', id), { exitCode: 0, stdout: '', stderr: '' })
    const gone = async () => JSON.parse((await sandbox.shim('state', id)).stdout).status === 'stopped'
    while (!(await gone()));
    t.equal(readFileSync(output, 'utf8'), 'hello: ok\n', 'the container has written there, and nobody else')
    t.match(await sandbox.shim('delete', id), { exitCode: 0, stdout: '', stderr: '' })
    t.same(sandbox.kept(), [])
    t.match(await sandbox.shim('delete', '--force', id), { exitCode: 0 }, 'deleted twice')
    t.same(readFileSync(join(bundle, 'config.json')), before)
    t.same(readdirSync(bundle).sort(), ['beside', 'config.json', 'pid'])
  }
  t.match(sandbox.journal(), [{ event: 'learned' }, { event: 'installed' }, { event: 'in-force' }])
})

test('a refusal: on standard error, in the log that the caller reads, in the journal', async (t) => {
  const sandbox = await Sandbox.create(t)
  mkdirSync(sandbox.store)
  const bundle = bundleOf(sandbox, { mode: 'enforce', policy: 'absent', args: ['/fixtures/act', 'hello'] })
  const log = join(sandbox.directory, 'log.json')
  const globals = ['--config', sandbox.config, '--log', log, '--log-format=json']
  const args = [...globals, ...sandbox.runcArgs('run', '--bundle', bundle, sandbox.newId())]
  const result = resultOf(await execa(SHIM, args, { reject: false, stdin: 'ignore' }))
  t.match(result, { exitCode: 1, stdout: '', stderr: /there is no policy absent in .* \[POLICY_NOT_FOUND\]$/ })
  const line = JSON.parse(readFileSync(log, 'utf8'))
  t.match(line, { level: 'error', msg: result.stderr, time: /^\d{4}-/ })
  t.match(sandbox.journal(), [{ event: 'refused', code: 'POLICY_NOT_FOUND' }])
  t.same(sandbox.kept(), [])
})

test('hooks that are in the bundle already are not installed twice', async (t) => {
  const sandbox = await Sandbox.create(t)
  for (const mode of ['learn', 'enforce'] as const) {
    const result = await sandbox.shim(
      ...['run', '--bundle', sandbox.bundle({ mode, args: ['/fixtures/act', 'hello'] }), sandbox.newId()],
    )
    t.same(result, { exitCode: 0, stdout: 'hello: ok', stderr: '' }, mode)
  }
  t.equal((await sandbox.policy()).runs.length, 1)
})

test('another container with an id that is in use does not start, and does the first no harm', async (t) => {
  const sandbox = await Sandbox.create(t)
  await run(sandbox, { mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const bundle = bundleOf(sandbox, { mode: 'enforce', args: ['/fixtures/act', 'hello'] })
  const id = sandbox.newId()
  t.equal(await sandbox.shimInto('/dev/null', bundle, 'create', id), 0)
  const kept = sandbox.kept()
  t.match(await sandbox.shim('create', '--bundle', bundle, id), { exitCode: 1, stderr: /CONTAINER_EXISTS/ })
  t.same(sandbox.kept(), kept)
  t.match(await sandbox.shim('delete', '--force', id), { exitCode: 0 })
  t.same(sandbox.kept(), [])
})

test('--mode says what every container of a runtime gets; a container cannot ask for less', async (t) => {
  const sandbox = await Sandbox.create(t)
  const shim = async (own: string[], container: Container) => {
    const args = ['run', '--bundle', bundleOf(sandbox, container), sandbox.newId()]
    const line = ['--config', sandbox.config, ...own, ...sandbox.runcArgs(...args)]
    return resultOf(await execa(SHIM, line, { reject: false, stdin: 'ignore' }))
  }
  const hello = { args: ['/fixtures/act', 'hello', 'socket'] }
  t.match(await shim(['--mode', 'learn', '--policy=test'], { args: ['/fixtures/act', 'hello'] }), { exitCode: 0 })
  t.match(await shim(['--mode=enforce', '--policy', 'test'], hello), {
    exitCode: 0,
    stdout: 'hello: ok\nsocket: Operation not permitted',
  })
  t.match(await shim(['--mode=enforce', '--policy', 'test', '--action', 'kill'], hello), { exitCode: 128 + 31 })
  t.match(await shim(['--mode=enforce', '--policy', 'test'], { ...hello, mode: 'learn' }), {
    exitCode: 1,
    stdout: '',
    stderr: /io\.sandbox\.mode=learn is not permitted with this runtime, which the host starts with --mode enforce/,
  })
  t.match(await shim(['--mode=enforce'], hello), { exitCode: 1, stdout: '', stderr: /POLICY_UNNAMED/ })
  const pod = { ...hello, annotations: { 'io.kubernetes.cri.container-type': 'sandbox' } }
  t.match(
    await shim(['--mode=enforce', '--policy', 'test'], pod),
    { exitCode: 0, stdout: 'hello: ok\nsocket: Operation not permitted' },
    'nor by calling itself a pause container',
  )
  const asking = { ...pod, mode: 'enforce' as const }
  t.match(await shim([], asking), { exitCode: 0, stdout: 'hello: ok\nsocket: ok' }, 'a pause container')
})

test('exec into a container: filtered where it is enforced, learned where it learns', async (t) => {
  const sandbox = await Sandbox.create(t)
  /** Starts a container that waits, runs `work`, and deletes it. */
  const during = async (mode: 'learn' | 'enforce', work: (id: string) => Promise<void>) => {
    const bundle = bundleOf(sandbox, { mode, args: ['/fixtures/act', 'hello', 'wait'] })
    const id = sandbox.newId()
    // The end of its standard input is the end of the container.
    const line = ['--config', sandbox.config, ...sandbox.runcArgs('run', '--bundle', bundle, id)]
    const container = execa(SHIM, line, { reject: false })
    await until(
      'the container runs',
      async () => JSON.parse((await sandbox.shim('state', id)).stdout || '{}').status === 'running',
    )
    try {
      await work(id)
    } finally {
      container.stdin.end()
    }
    t.match(await container, { exitCode: 0, stdout: 'hello: ok\nwait: ready' })
  }
  const exec = (id: string, ...args: string[]) => sandbox.shim('exec', id, '/fixtures/act', ...args)
  await during('learn', async (id) => {
    t.same(await exec(id, 'getppid', 'exit', '5'), { exitCode: 5, stdout: 'getppid: ok', stderr: '' })
  })
  const names = namesOf(await sandbox.policy())
  t.ok(names.includes('getppid'), 'what was executed in it is in its policy')
  t.notOk(names.includes('setns'), "and none of the runtime's calls")
  await during('enforce', async (id) => {
    t.same(await exec(id, 'getppid', 'socket', 'exit', '5'), {
      exitCode: 5,
      stdout: 'getppid: ok\nsocket: Operation not permitted',
      stderr: '',
    })
    const [directory] = sandbox.kept()
    rmSync(`/run/oci-sandbox/containers/${directory}/filter-1-of-1.bpf`)
    t.match(await exec(id, 'hello'), { exitCode: 1, stdout: '', stderr: /the filter of container .* is missing/ })
    rmSync(`/run/oci-sandbox/containers/${directory}/record.json`)
    t.match(
      await exec(id, 'hello', 'socket'),
      { exitCode: 0, stdout: 'hello: ok\nsocket: Operation not permitted' },
      "its annotations say what it is where the shim's own record is gone",
    )
  })
  t.same(sandbox.kept(), [])
})
