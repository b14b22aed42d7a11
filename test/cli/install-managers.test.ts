/** What install writes is read by the programs that it is for: containerd, Docker's engine, and podman in a mount namespace. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { execa } from 'execa'
import { test } from 'tap'
import { at, parseToml } from '../../src/setup/toml.ts'
import { Installation } from '../lib/installation.ts'
import { type Result, resultOf, Sandbox } from '../lib/sandbox.ts'

const DEBIAN = join(import.meta.dirname, '../../build/demo/rootfs')

test('containerd takes the edited config.toml', async (t) => {
  const host = Installation.create(t)
  const handler = ['plugins', 'io.containerd.grpc.v1.cri', 'containerd', 'runtimes', 'oci-sandbox']
  const { stdout: defaults } = await execa('containerd', ['config', 'default'])
  const debian =
    'version = 2\n[plugins]\n  [plugins."io.containerd.grpc.v1.cri"]\n    [plugins."io.containerd.grpc.v1.cri".cni]\n'
  for (const text of [undefined, debian, defaults]) {
    if (text !== undefined) host.write('/etc/containerd/config.toml', text)
    t.match(await host.setup('install', '--containerd'), { exitCode: 0 })
    const { stdout } = await execa('containerd', [
      '--config',
      host.path('/etc/containerd/config.toml'),
      'config',
      'dump',
    ])
    const dumped = parseToml(stdout)
    t.match(at(dumped, ...handler), {
      runtime_type: 'io.containerd.runc.v2',
      pod_annotations: ['io.sandbox.*'],
      options: { BinaryName: host.program('oci-sandbox-runtime') },
    })
    t.match(
      at(dumped, ...handler.slice(0, -1), 'runc'),
      { runtime_type: 'io.containerd.runc.v2' },
      'runc is still there',
    )
  }
})

/** Docker's engine with a configuration file and everything else of its own. */
class Docker {
  readonly #socket: string

  private constructor(socket: string) {
    this.#socket = socket
  }

  /** Its containerd may not be there in time on a busy machine, and the engine then ends: so it is started up to three times. */
  static async start(t: { teardown(handler: () => unknown): void }, config: string): Promise<Docker> {
    for (let attempt = 1; ; attempt++) {
      const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-docker-'))
      const own = (name: string) => join(directory, name)
      const where = ['--data-root', own('data'), '--exec-root', own('exec'), '--pidfile', own('pid')]
      const plain = ['--iptables=false', '--bridge=none', '--storage-driver', 'vfs', '-H', `unix://${own('socket')}`]
      // In a mount namespace, as the engine mounts its own directories and leaves them so.
      const command = ['--mount', '--propagation', 'private', 'dockerd', '--config-file', config, ...where, ...plain]
      const process = execa('unshare', command, { reject: false, forceKillAfterDelay: 20_000, all: true })
      t.teardown(async () => {
        process.kill('SIGTERM')
        await process
        rmSync(directory, { recursive: true, force: true })
      })
      const engine = new Docker(own('socket'))
      let ended: string | undefined
      process.then(({ all }) => {
        ended = String(all)
      })
      let answers = false
      const deadline = Date.now() + 60_000
      while (!answers && ended === undefined && Date.now() < deadline)
        answers = (await engine.get('/info')) !== undefined
      if (answers) return engine
      if (attempt === 3) throw new Error(`Docker's engine does not start: ${ended ?? 'it takes too long'}`)
    }
  }

  /** The answer to a GET, or undefined while there is none. */
  async get(path: string): Promise<unknown> {
    const answer = await new Promise((resolve) => {
      const question = request({ socketPath: this.#socket, path }, (response) => {
        let text = ''
        response.on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => resolve(response.statusCode === 200 ? JSON.parse(text) : undefined))
      })
      question.on('error', () => resolve(undefined))
      question.end()
    })
    if (answer === undefined) await delay(20)
    return answer
  }
}

test("Docker's engine takes the edited daemon.json", async (t) => {
  const host = Installation.create(t)
  host.write('/etc/docker/daemon.json', '{ "log-level": "warn", "runtimes": { "kata": { "path": "/usr/bin/kata" } } }')
  t.match(await host.setup('install', '--docker'), { exitCode: 0 })
  const engine = await Docker.start(t, host.path('/etc/docker/daemon.json'))
  const path = host.program('oci-sandbox-runtime')
  t.match(await engine.get('/info'), {
    Runtimes: {
      'oci-sandbox': { path },
      'oci-sandbox-learn': { path, runtimeArgs: ['--mode', 'learn'] },
      'oci-sandbox-enforce': { path, runtimeArgs: ['--mode', 'enforce'] },
      kata: { path: '/usr/bin/kata' },
      runc: {},
    },
  })
})

/** podman as root starts it, with the host's tree in the place of the system's own configuration. */
class Podman {
  readonly sandbox: Sandbox
  readonly host: Installation

  constructor(sandbox: Sandbox, host: Installation) {
    this.sandbox = sandbox
    this.host = host
  }

  async prepare(): Promise<this> {
    for (const path of ['/etc/containers', '/usr/share/containers']) {
      mkdirSync(this.host.path(path), { recursive: true })
      await execa('cp', ['-a', `${path}/.`, this.host.path(path)])
    }
    return this
  }

  async run(annotations: Record<string, string>, ...command: string[]): Promise<Result> {
    const script =
      'mount --bind "$1/etc/containers" /etc/containers && mount --bind "$1/usr/share/containers" /usr/share/containers && shift && exec "$@"'
    const { directory } = this.sandbox
    const own = [
      '--root',
      join(directory, 'podman'),
      '--runroot',
      join(directory, 'podman-run'),
      '--storage-driver',
      'vfs',
    ]
    const globals = [...own, '--runtime', 'runc', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none']
    const limits = ['--network', 'none', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000']
    const options = Object.entries(annotations).flatMap(([key, value]) => [
      '--annotation',
      `io.sandbox.${key}=${value}`,
    ])
    const rootfs = ['--volume', `${join(DEBIAN, 'usr')}:/usr:ro`, '--rootfs', join(directory, 'rootfs')]
    const podman = ['podman', ...globals, 'run', '--rm', ...limits, ...options, ...rootfs, ...command]
    const unshare = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', this.host.root, ...podman]
    return resultOf(await execa('unshare', unshare, { reject: false, stdin: 'ignore' }))
  }
}

const ACT = ['/fixtures/act', 'hello', 'socket']
const unhindered = { exitCode: 0, stdout: 'hello: ok\nsocket: ok' }
const held = { exitCode: 0, stdout: 'hello: ok\nsocket: Operation not permitted' }

test('podman runs the installed hooks: learn, enforce, refuse', async (t) => {
  const sandbox = await Sandbox.create(t)
  const host = Installation.create(t)
  const podman = await new Podman(sandbox, host).prepare()
  t.match(await host.setup('install', '--podman', '--config', sandbox.config), { exitCode: 0 })
  t.match(await podman.run({ mode: 'learn', policy: 'test' }, '/fixtures/act', 'hello'), { stdout: 'hello: ok' })
  t.match(await sandbox.policy(), { complete: true })
  t.match(await podman.run({ mode: 'enforce', policy: 'test' }, ...ACT), held)
  t.match(await podman.run({ mode: 'enforce', policy: 'absent' }, ...ACT), {
    exitCode: 126,
    stderr: /there is no policy absent/,
  })
  t.match(await podman.run({}, ...ACT), unhindered, 'without annotations')

  t.match(await host.setup('uninstall', '--podman'), { exitCode: 0 })
  t.match(await podman.run({ mode: 'enforce', policy: 'test' }, ...ACT), unhindered, 'the hooks are gone')
})

test('podman with the hooks in a directory of its own, through the drop-in for containers.conf', async (t) => {
  const sandbox = await Sandbox.create(t)
  const host = Installation.create(t)
  const podman = await new Podman(sandbox, host).prepare()
  // Below what podman's mount namespace has.
  const directory = join(host.directory, 'hooks')
  mkdirSync(directory)
  t.match(await host.setup('install', '--podman', '--config', sandbox.config, '--hooks-dir', directory), {
    exitCode: 0,
  })
  await execa('cp', ['-a', `${host.path(directory)}/.`, directory])
  t.match(await podman.run({ mode: 'learn', policy: 'test' }, '/fixtures/act', 'hello'), { stdout: 'hello: ok' })
  t.match(await podman.run({ mode: 'enforce', policy: 'test' }, ...ACT), held)
})

test('podman with a required mode: no annotation is needed, and none helps', async (t) => {
  const sandbox = await Sandbox.create(t)
  const host = Installation.create(t)
  const podman = await new Podman(sandbox, host).prepare()
  await host.setup('install', '--podman', '--config', sandbox.config)
  await podman.run({ mode: 'learn', policy: 'test' }, '/fixtures/act', 'hello')

  const required = [{ mode: 'enforce', policy: 'test' }]
  writeFileSync(sandbox.config, JSON.stringify({ store: sandbox.store, required }))
  t.match(await podman.run({}, ...ACT), unhindered, 'manifests that match annotations do not see this container')
  t.match(await host.setup('install', '--podman', '--required', '--config', sandbox.config), {
    stdout: /for every container/,
  })
  t.match(await podman.run({}, ...ACT), held)
  t.match(await podman.run({ mode: 'learn', policy: 'test' }, ...ACT), {
    exitCode: 126,
    stderr: /io\.sandbox\.mode=learn is not permitted on this host \(its configuration requires enforce\)/,
  })
  t.match(await podman.run({ policy: 'loose' }, ...ACT), { exitCode: 126, stderr: /requires the policy test/ })

  writeFileSync(sandbox.config, JSON.stringify({ store: sandbox.store, required: [{ mode: 'learn', policy: 'all' }] }))
  t.match(await podman.run({}, ...ACT), { exitCode: 126, stderr: /no "hook learn" is among its hooks/ })
  await host.setup('install', '--podman', '--required', '--config', sandbox.config)
  t.match(await podman.run({}, ...ACT), unhindered)
  t.match(await sandbox.policy('all'), { complete: true })
})
