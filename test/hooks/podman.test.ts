/** podman: the installed manifests through --hooks-dir, and an exported profile. */
import { join } from 'node:path'
import { test } from 'tap'
import { annotated, container, hooksDirectory, podman } from '../lib/podman.ts'
import { Sandbox } from '../lib/sandbox.ts'

test('the manifests: learn, enforce, refuse', async (t) => {
  const sandbox = await Sandbox.create(t)
  const hooks = hooksDirectory(sandbox, 'hooks.d', ['learn', 'enforce'])
  const globals = ['--cgroup-manager', 'cgroupfs', '--hooks-dir', hooks]
  const run = (options: string[], command: string) =>
    podman({ sandbox, globals }, 'run', '--rm', ...container(sandbox, options, command))

  t.match(
    await run([], '/fixtures/act hello socket'),
    { exitCode: 0, stdout: 'hello: ok\nsocket: ok' },
    'without annotations nothing changes',
  )
  t.match(await run(annotated('learn'), '/fixtures/act hello'), {
    exitCode: 0,
    stdout: 'hello: ok',
  })
  t.match(await sandbox.policy(), { complete: true, runs: [{ program: { path: '/fixtures/act' } }] })
  t.match(await run(annotated('enforce'), '/fixtures/act hello socket'), {
    exitCode: 0,
    stdout: 'hello: ok\nsocket: Operation not permitted',
  })

  const mistyped = await run(annotated('enforec'), '/fixtures/act hello')
  t.equal(mistyped.exitCode, 126)
  t.match(mistyped.stderr, /io\.sandbox\.mode=.*enforec.*: expected learn or enforce/)
  const keyless = await run(['--annotation', 'io.sandbox.polcy=test'], '/fixtures/act hello')
  t.equal(keyless.exitCode, 126, 'a mistyped key does not start the container either')
})

test('an exported profile is accepted, and refuses the same', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const profile = join(sandbox.directory, 'profile.json')
  t.match(await sandbox.cli('policy', 'export', 'test', '--format', 'oci', '-o', profile), { exitCode: 0 })
  for (const option of [[], ['--security-opt', 'no-new-privileges']]) {
    const options = ['--security-opt', `seccomp=${profile}`, ...option]
    const command = container(sandbox, options, '/fixtures/act hello socket fork')
    const result = await podman({ sandbox }, 'run', '--rm', ...command)
    t.match(
      result,
      { exitCode: 0, stdout: 'hello: ok\nsocket: Operation not permitted\nfork: Operation not permitted' },
      option.join(' '),
    )
  }
})
