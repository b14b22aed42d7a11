/** podman: the installed manifests through --hooks-dir, and an exported profile. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { OCI_SANDBOX, resultOf, Sandbox } from '../lib/sandbox.ts'

const ROOT = join(import.meta.dirname, '../..')

/** podman with everything of its own below the sandbox's directory, on runc. */
async function podman(sandbox: Sandbox, options: readonly string[], command: readonly string[]) {
  const own = ['--root', join(sandbox.directory, 'podman'), '--runroot', join(sandbox.directory, 'podman-run')]
  const globals = [
    ...own,
    '--runtime',
    'runc',
    '--cgroup-manager',
    'cgroupfs',
    '--events-backend',
    'none',
    '--storage-driver',
    'vfs',
  ]
  // What a machine without CAP_SYS_RESOURCE needs is here for all.
  const limits = ['--network', 'none', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000']
  const rootfs = [
    '--volume',
    `${join(ROOT, 'build/demo/rootfs/usr')}:/usr:ro`,
    '--rootfs',
    join(sandbox.directory, 'rootfs'),
  ]
  return resultOf(
    await execa(
      'podman',
      [
        ...globals,
        ...options,
        'run',
        '--rm',
        ...limits,
        ...command.slice(0, -1),
        ...rootfs,
        ...(command.at(-1) ?? '').split(' '),
      ],
      {
        reject: false,
        stdin: 'ignore',
      },
    ),
  )
}

function installManifests(sandbox: Sandbox): string {
  const directory = join(sandbox.directory, 'hooks.d')
  mkdirSync(directory)
  for (const name of ['learn', 'enforce']) {
    const manifest = JSON.parse(readFileSync(join(ROOT, `hooks/hooks.d/oci-sandbox-${name}.json.in`), 'utf8'))
    manifest.hook.path = OCI_SANDBOX
    manifest.hook.args.push('--config', sandbox.config)
    writeFileSync(join(directory, `oci-sandbox-${name}.json`), JSON.stringify(manifest))
  }
  return directory
}

test('the manifests: learn, enforce, refuse', async (t) => {
  const sandbox = await Sandbox.create(t)
  const hooks = ['--hooks-dir', installManifests(sandbox)]
  const annotated = (mode: string) => [
    '--annotation',
    `io.sandbox.mode=${mode}`,
    '--annotation',
    'io.sandbox.policy=test',
  ]

  t.match(
    await podman(sandbox, hooks, ['/fixtures/act hello socket']),
    { exitCode: 0, stdout: 'hello: ok\nsocket: ok' },
    'without annotations nothing changes',
  )
  t.match(await podman(sandbox, hooks, [...annotated('learn'), '/fixtures/act hello']), {
    exitCode: 0,
    stdout: 'hello: ok',
  })
  t.match(await sandbox.policy(), { complete: true, runs: [{ program: { path: '/fixtures/act' } }] })
  t.match(await podman(sandbox, hooks, [...annotated('enforce'), '/fixtures/act hello socket']), {
    exitCode: 0,
    stdout: 'hello: ok\nsocket: Operation not permitted',
  })

  const mistyped = await podman(sandbox, hooks, [...annotated('enforec'), '/fixtures/act hello'])
  t.equal(mistyped.exitCode, 126)
  t.match(mistyped.stderr, /io\.sandbox\.mode=.*enforec.*: expected learn or enforce/)
  const keyless = await podman(sandbox, hooks, ['--annotation', 'io.sandbox.polcy=test', '/fixtures/act hello'])
  t.equal(keyless.exitCode, 126, 'a mistyped key does not start the container either')
})

test('an exported profile is accepted, and refuses the same', async (t) => {
  const sandbox = await Sandbox.create(t)
  await sandbox.run({ mode: 'learn', args: ['/fixtures/act', 'hello'] })
  const profile = join(sandbox.directory, 'profile.json')
  t.match(await sandbox.cli('policy', 'export', 'test', '--format', 'oci', '-o', profile), { exitCode: 0 })
  for (const option of [[], ['--security-opt', 'no-new-privileges']]) {
    const result = await podman(
      sandbox,
      [],
      ['--security-opt', `seccomp=${profile}`, ...option, '/fixtures/act hello socket fork'],
    )
    t.match(
      result,
      { exitCode: 0, stdout: 'hello: ok\nsocket: Operation not permitted\nfork: Operation not permitted' },
      option.join(' '),
    )
  }
})
