/** Docker (Debian's) with oci-sandbox-runtime among its runtimes: one for each mode, as old engines have no annotations. */
import { createReadStream, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { policyNameOfImage } from '../../src/policy/name.ts'
import { startDaemon } from '../lib/daemon.ts'
import { makeLayer } from '../lib/image.ts'
import { namesOf, resultOf, Sandbox, SHIM } from '../lib/sandbox.ts'

/** There may be another one in PATH. */
const DOCKER = '/usr/bin/docker'

test('docker run: learn, enforce, refuse; docker exec', async (t) => {
  const sandbox = await Sandbox.create(t)
  const path = (name: string) => join(sandbox.directory, name)
  const runtime = (...args: string[]) => ({ path: SHIM, runtimeArgs: ['--config', sandbox.config, ...args] })
  const configuration = {
    runtimes: { 'sandbox-learn': runtime('--mode', 'learn'), 'sandbox-enforce': runtime('--mode', 'enforce') },
    ...{
      'storage-driver': 'vfs',
      'data-root': path('docker'),
      'exec-root': path('docker-run'),
      pidfile: path('docker.pid'),
    },
    ...{
      iptables: false,
      'ip-forward': false,
      'ip-masq': false,
      bridge: 'none',
      hosts: [`unix://${path('docker.sock')}`],
    },
  }
  writeFileSync(path('daemon.json'), JSON.stringify(configuration))
  const docker = async (...args: string[]) => {
    const line = ['--host', `unix://${path('docker.sock')}`, ...args]
    const environment = { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: sandbox.directory }, extendEnv: false }
    return resultOf(await execa(DOCKER, line, { ...environment, reject: false, stdin: 'ignore', timeout: 60_000 }))
  }
  const ready = async () => (await docker('info')).exitCode === 0
  await startDaemon(t, sandbox, ['dockerd', '--config-file', path('daemon.json')], ready)
  const image = createReadStream(await makeLayer(sandbox))
  await execa(DOCKER, ['--host', `unix://${path('docker.sock')}`, 'import', '-', 'act'], { input: image })

  const limits = ['--network', 'none', '--ulimit', 'nofile=1024:1024']
  const run = (name: string, ...command: string[]) =>
    docker('run', '--rm', ...limits, '--runtime', name, 'act', '/act', ...command)
  t.same(await run('runc', 'hello', 'socket'), { exitCode: 0, stdout: 'hello: ok\nsocket: ok', stderr: '' })
  t.match(
    await run('sandbox-enforce', 'hello'),
    { exitCode: 125, stdout: '', stderr: /there is no policy act-.* in .*POLICY_NOT_FOUND/ },
    'Docker shows why',
  )
  t.same(await run('sandbox-learn', 'hello', 'wait', 'exit', '3'), {
    exitCode: 3,
    stdout: 'hello: ok\nwait: ready',
    stderr: '',
  })
  const policy = await sandbox.policy(policyNameOfImage('act'))
  t.match(
    policy,
    { complete: true, runs: [{ program: { path: '/act' }, image: { name: 'act' } }] },
    'named after the image',
  )
  t.notOk(namesOf(policy).includes('execve'))
  t.same(await run('sandbox-enforce', 'hello', 'socket'), {
    exitCode: 0,
    stdout: 'hello: ok\nsocket: Operation not permitted',
    stderr: '',
  })
  const waiting = ['--detach', '--interactive', '--runtime', 'sandbox-enforce', '--name', 'one']
  t.match(await docker('run', ...limits, ...waiting, 'act', '/act', 'wait'), { exitCode: 0 })
  t.match(await docker('exec', 'one', '/act', 'hello', 'socket', 'exit', '4'), {
    exitCode: 4,
    stdout: 'hello: ok\nsocket: Operation not permitted',
  })
  t.match(await docker('rm', '--force', 'one'), { exitCode: 0 })
  t.same(sandbox.kept(), [])
})
