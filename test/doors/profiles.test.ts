/** Exported profiles, as people hand them to their engines: runc, podman and Docker enforce the same. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { Docker } from '../engines/docker.ts'
import { needs } from '../lib/needs.ts'
import { container, podman } from '../lib/podman.ts'
import { type Result, Sandbox } from '../lib/sandbox.ts'

/** Runs a program of the image's, which is static, with a profile; without one: with the engine's own. */
type Engine = (profile: string | undefined, noNewPrivileges: boolean, ...args: string[]) => Promise<Result>

const output = ({ exitCode, stdout }: Result) => ({ exitCode, stdout })

/** Docker's runtime `watching` leaves the last container's config.json behind: the default profile is nowhere else to be found. */
async function setUp(t: Test) {
  const sandbox = await Sandbox.create(t)
  const seen = join(sandbox.directory, 'seen.json')
  const path = join(sandbox.directory, 'watching')
  const script = `#!/bin/sh
for word; do
  case $previous in --bundle) cp "$word/config.json" ${seen} ;; esac
  previous=$word
done
exec runc "$@"
`
  writeFileSync(path, script, { mode: 0o755 })
  const docker = await Docker.start(t, sandbox, { watching: { path } })
  const security = (profile: string | undefined, noNewPrivileges: boolean) => [
    ...(profile === undefined ? [] : ['--security-opt', `seccomp=${profile}`]),
    ...(noNewPrivileges ? ['--security-opt', 'no-new-privileges'] : []),
  ]
  const engines: Readonly<Record<string, Engine>> = {
    async runc(profile, noNewPrivileges, ...args) {
      const bundle = sandbox.bundle({ hooks: {}, noNewPrivileges, args: ['/fixtures/act-static', ...args] })
      const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'))
      if (profile !== undefined) config.linux.seccomp = JSON.parse(readFileSync(profile, 'utf8'))
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(config))
      return await sandbox.runc('run', '--bundle', bundle, sandbox.newId())
    },
    podman(profile, noNewPrivileges, ...args) {
      const command = ['/fixtures/act-static', ...args].join(' ')
      return podman({ sandbox }, 'run', '--rm', ...container(sandbox, security(profile, noNewPrivileges), command))
    },
    Docker: (profile, noNewPrivileges, ...args) =>
      docker.run('watching', ['--rm', ...security(profile, noNewPrivileges)], '/fixtures/act', ...args),
  }
  const exported = async (policy: string, ...options: string[]) => {
    const file = join(sandbox.directory, `${policy}-${options.join('')}.json`)
    t.match(await sandbox.cli('policy', 'export', policy, '--format', 'docker', '-o', file, ...options), {
      exitCode: 0,
    })
    return file
  }
  return { sandbox, engines, exported, seen }
}

test(
  'a learned policy: the same calls pass, the same are refused, with the same errors',
  needs('podman', 'dockerd'),
  async (t) => {
    const { sandbox, engines, exported } = await setUp(t)
    const learned = ['hello', 'unix', 'exit', '3']
    const learn = {
      mode: 'learn',
      args: ['/fixtures/act-static', ...learned],
      annotations: { 'io.sandbox.detail': 'args' },
    }
    t.match(await sandbox.run(learn as never), { exitCode: 3 })
    const errno = await exported('test')
    const kill = await exported('test', '--action', 'kill')
    // keyctl and userfaultfd: other errors where no filter refuses them.
    const args = ['hello', 'unix', 'socket', 'fork', 'call', '250,99', 'call', '323,99', 'exit', '3']
    const said = [
      'hello: ok',
      'unix: ok',
      ...['socket', 'fork', '250,99', '323,99'].map((call) => `${call}: Operation not permitted`),
    ]
    for (const [name, engine] of Object.entries(engines)) {
      for (const noNewPrivileges of [true, false]) {
        const how = `${name}, noNewPrivileges ${noNewPrivileges}`
        t.same(
          output(await engine(errno, noNewPrivileges, ...learned)),
          { exitCode: 3, stdout: 'hello: ok\nunix: ok' },
          how,
        )
        t.same(output(await engine(errno, noNewPrivileges, ...args)), { exitCode: 3, stdout: said.join('\n') }, how)
        // SIGSYS
        t.same(
          output(await engine(kill, noNewPrivileges, ...args)),
          { exitCode: 128 + 31, stdout: 'hello: ok\nunix: ok' },
          how,
        )
      }
    }
  },
)

test(
  "Docker's default profile, imported and exported again, allows the same",
  needs('podman', 'dockerd'),
  async (t) => {
    const { sandbox, engines, exported, seen } = await setUp(t)
    const docker = engines.Docker as Engine
    // keyctl, unshare(CLONE_NEWUSER), personality with a value that is allowed and one that is not, bpf, userfaultfd, an AF_VSOCK socket.
    const calls = [
      '250,99',
      '272,268435456',
      '135,0xffffffff',
      '135,0x1234',
      '321,99',
      '323,99',
      '41,40,1,0',
      '138,4096',
    ]
    const args = ['hello', 'socket', 'fork', ...calls.flatMap((call) => ['call', call])]
    const own = await docker(undefined, false, ...args)
    t.match(own, { exitCode: 0, stdout: /^hello: ok\nsocket: ok\nfork: ok\n250,99: Operation not permitted\n/ })
    t.match(own.stdout, /\n135,0xffffffff: ok\n135,0x1234: Operation not permitted\n/)
    const file = join(sandbox.directory, 'default.json')
    writeFileSync(file, JSON.stringify(JSON.parse(readFileSync(seen, 'utf8')).linux.seccomp))
    const take = (from: string, name: string) => sandbox.cli('import', '--format', 'docker', from, '--name', name)
    t.match(await take(file, 'default'), { exitCode: 0, stderr: /calls that get errno 38 there.*: clone3$/m })
    const again = await exported('default')
    t.match(await take(again, 'again'), { exitCode: 0 })
    t.match(await sandbox.cli('policy', 'diff', 'default', 'again'), { exitCode: 0, stdout: /mean the same/ })
    for (const [name, engine] of Object.entries(engines)) {
      for (const noNewPrivileges of [true, false])
        t.same(output(await engine(again, noNewPrivileges, ...args)), { exitCode: 0, stdout: own.stdout }, name)
    }
  },
)
