/** Docker with the shim among its runtimes, one for each mode: engines before 24 have no annotations. */
import { test } from 'tap'
import { policyNameOfImage } from '../../src/policy/name.ts'
import { Docker } from '../engines/docker.ts'
import { IMAGE } from '../engines/image.ts'
import { needs } from '../lib/needs.ts'
import { Sandbox } from '../lib/sandbox.ts'

test('docker run --runtime: learn, enforce, refuse', needs('dockerd'), async (t) => {
  const sandbox = await Sandbox.create(t)
  const path = sandbox.runtime()
  const mode = (name: string, policy = 'test') => ({ path, runtimeArgs: ['--mode', name, '--policy', policy] })
  const docker = await Docker.start(t, sandbox, {
    'oci-sandbox': { path },
    'oci-sandbox-learn': mode('learn'),
    'oci-sandbox-enforce': mode('enforce'),
    'oci-sandbox-unnamed': { path, runtimeArgs: ['--mode', 'enforce'] },
    'oci-sandbox-absent': mode('enforce', 'absent'),
  })
  const run = (runtime: string, ...command: string[]) => docker.run(runtime, ['--rm'], '/fixtures/act', ...command)
  t.match(await run('oci-sandbox', 'hello', 'socket'), { exitCode: 0, stdout: 'hello: ok\nsocket: ok' })
  t.match(await run('oci-sandbox-learn', 'hello'), { exitCode: 0, stdout: 'hello: ok', stderr: '' })
  t.match(await sandbox.policy(), { complete: true, runs: [{ program: { path: '/fixtures/act' } }] })
  t.match(await run('oci-sandbox-enforce', 'hello', 'socket', 'exit', '3'), {
    exitCode: 3,
    stdout: 'hello: ok\nsocket: Operation not permitted',
    stderr: '',
  })
  const absent = await run('oci-sandbox-absent', 'hello')
  t.equal(absent.exitCode, 125)
  t.match(absent.stderr, /there is no policy absent/)

  // Docker does not say the image in config.json; the shim finds it.
  const unnamed = await run('oci-sandbox-unnamed', 'hello')
  t.ok(unnamed.stderr.includes(`there is no policy ${policyNameOfImage(IMAGE)}`), unnamed.stderr)

  const pausing = ['--detach', '--name', 'one']
  t.match(await docker.run('oci-sandbox-learn', pausing, '/fixtures/act', 'pause'), { exitCode: 0 })
  t.match(await docker.docker('exec', 'one', '/fixtures/act', 'getppid'), { exitCode: 0, stdout: 'getppid: ok' })
  t.match(await docker.docker('rm', '--force', 'one'), { exitCode: 0 })
  t.match(await docker.run('oci-sandbox-enforce', pausing, '/fixtures/act', 'pause'), { exitCode: 0 })
  t.match(await docker.docker('exec', 'one', '/fixtures/act', 'getppid', 'socket', 'exit', '4'), {
    exitCode: 4,
    stdout: 'getppid: ok\nsocket: Operation not permitted',
  })
  t.match(await docker.docker('rm', '--force', 'one'), { exitCode: 0 })
  t.same(sandbox.kept(), [])
})
