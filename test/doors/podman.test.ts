/** podman with oci-sandbox-runtime as its runtime. */
import { test } from 'tap'
import { needs } from '../lib/needs.ts'
import { annotated, container, podman } from '../lib/podman.ts'
import { namesOf, Sandbox, SHIM } from '../lib/sandbox.ts'

async function setUp(t: Parameters<typeof Sandbox.create>[0]) {
  const sandbox = await Sandbox.create(t)
  const door = { sandbox, runtime: SHIM, runtimeFlags: [`config=${sandbox.config}`] }
  const run = (options: string[], command: string) =>
    podman(door, 'run', '--rm', ...container(sandbox, options, command))
  return { sandbox, door, run }
}

test('podman run: learn, enforce, refuse', needs('podman'), async (t) => {
  const { sandbox, run } = await setUp(t)
  t.match(await run([], '/fixtures/act hello socket exit 3'), { exitCode: 3, stdout: 'hello: ok\nsocket: ok' })
  t.same(await run(annotated('learn'), '/fixtures/act hello'), { exitCode: 0, stdout: 'hello: ok', stderr: '' })
  t.match(await sandbox.policy(), { complete: true, runs: [{ program: { path: '/fixtures/act' } }] })
  t.same(await run(annotated('enforce'), '/fixtures/act hello socket'), {
    exitCode: 0,
    stdout: 'hello: ok\nsocket: Operation not permitted',
    stderr: '',
  })
  const refused = await run(annotated('enforce', 'absent'), '/fixtures/act hello')
  t.match(
    refused,
    { exitCode: 126, stdout: '', stderr: /there is no policy absent .*POLICY_NOT_FOUND/ },
    'podman shows why',
  )
  const bpf = ['--annotation', 'run.oci.seccomp_bpf_data=BgAAAAAA/38=']
  t.match(await run([...annotated('enforce'), ...bpf], '/fixtures/act socket'), {
    stdout: 'socket: Operation not permitted',
  })
  t.same(sandbox.kept(), [])
})

test('podman create, start, exec, start again, rm', needs('podman'), async (t) => {
  const { sandbox, door, run } = await setUp(t)
  await run(annotated('learn'), '/fixtures/act hello wait')
  const named = ['--name', 'one', '--interactive', ...annotated('enforce')]
  t.match(await podman(door, 'create', ...container(sandbox, named, '/fixtures/act hello wait socket')), {
    exitCode: 0,
  })
  for (let round = 0; round < 2; round++) {
    t.match(await podman(door, 'start', 'one'), { exitCode: 0, stdout: 'one' })
    t.match(await podman(door, 'exec', 'one', '/fixtures/act', 'hello', 'socket', 'exit', '4'), {
      exitCode: 4,
      stdout: 'hello: ok\nsocket: Operation not permitted',
    })
    t.match(await podman(door, 'stop', '--time', '0', 'one'), { exitCode: 0 })
  }
  t.match(await podman(door, 'rm', '--force', 'one'), { exitCode: 0 })
  t.same(sandbox.kept(), [])

  const learning = ['--name', 'two', '--interactive', ...annotated('learn', 'second')]
  t.match(await podman(door, 'create', ...container(sandbox, learning, '/fixtures/act hello wait')), { exitCode: 0 })
  t.match(await podman(door, 'start', 'two'), { exitCode: 0 })
  t.match(await podman(door, 'exec', 'two', '/fixtures/act', 'getppid'), { exitCode: 0, stdout: 'getppid: ok' })
  t.match(await podman(door, 'rm', '--force', '--time', '0', 'two'), { exitCode: 0 })
  t.ok(namesOf(await sandbox.policy('second')).includes('getppid'))
  t.same(sandbox.kept(), [])
})
