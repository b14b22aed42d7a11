/** containerd through ctr, with oci-sandbox-runtime as the binary of its runc shim. */
import { join } from 'node:path'
import { test } from 'tap'
import { startContainerd, wrapper } from '../lib/containerd.ts'
import { annotated } from '../lib/podman.ts'
import { namesOf, Sandbox } from '../lib/sandbox.ts'

test('ctr run: learn, enforce, refuse', async (t) => {
  const sandbox = await Sandbox.create(t)
  const { ctr } = await startContainerd(t, sandbox)
  const run = (options: string[], ...command: string[]) =>
    ctr(
      ...['run', '--rm', '--runc-binary', wrapper(sandbox), ...options],
      ...['--rootfs', join(sandbox.directory, 'rootfs'), sandbox.newId(), '/fixtures/act-static', ...command],
    )
  t.match(await run([], 'hello', 'socket', 'exit', '3'), { exitCode: 3, stdout: 'hello: ok\nsocket: ok' })
  t.same(await run(annotated('learn'), 'hello'), { exitCode: 0, stdout: 'hello: ok', stderr: '' })
  const policy = await sandbox.policy()
  t.match(policy, { complete: true, runs: [{ program: { path: '/fixtures/act-static' } }] })
  t.notOk(namesOf(policy).includes('execve'))
  t.same(await run(annotated('enforce'), 'hello', 'socket'), {
    exitCode: 0,
    stdout: 'hello: ok\nsocket: Operation not permitted',
    stderr: '',
  })
  t.match(await run(annotated('enforce', 'absent'), 'hello'), {
    exitCode: 1,
    stdout: '',
    stderr: /OCI runtime create failed: oci-sandbox: there is no policy absent .*POLICY_NOT_FOUND/,
  })
  t.same(sandbox.kept(), [])
})
