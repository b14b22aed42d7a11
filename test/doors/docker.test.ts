/** Docker with the shim among its runtimes, one for each mode: engines before 24 have no annotations. */
import { test } from 'tap'
import { Docker } from '../lib/docker.ts'
import { Sandbox } from '../lib/sandbox.ts'

test('docker run --runtime: learn, enforce, refuse', async (t) => {
  const sandbox = await Sandbox.create(t)
  const path = sandbox.runtime()
  const mode = (name: string, policy = 'test') => ({ path, runtimeArgs: ['--mode', name, '--policy', policy] })
  const docker = await Docker.start(t, sandbox, {
    'oci-sandbox': { path },
    'oci-sandbox-learn': mode('learn'),
    'oci-sandbox-enforce': mode('enforce'),
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
})
