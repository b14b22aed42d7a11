/** oci-sandbox install and uninstall on trees of configuration files; what reads them for real is in install-podman and install-managers. */
import { chownSync, lstatSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { at, parseToml, type TomlTable } from '../../src/setup/toml.ts'
import { Installation } from '../lib/installation.ts'

const CONTAINERD = '/etc/containerd/config.toml'
const DOCKER = '/etc/docker/daemon.json'
const CRIO = '/etc/crio/crio.conf.d/50-oci-sandbox.conf'
const PODMAN = '/etc/containers/containers.conf.d/90-oci-sandbox.conf'
const HOOKS = '/usr/share/containers/oci/hooks.d'

const RUNTIMES = ['plugins', 'io.containerd.grpc.v1.cri', 'containerd', 'runtimes']

const ALL = ['--podman', '--containerd', '--docker', '--crio']

async function files(root: string): Promise<string> {
  return (await execa('sh', ['-c', 'find . -type f | sort | xargs -r sha256sum', 'sh'], { cwd: root })).stdout
}

test('install, install again, uninstall: everything is as before', async (t) => {
  const host = Installation.create(t)
  host.write(CONTAINERD, 'version = 2\n# mine\n[plugins]\n')
  host.write(DOCKER, '{\n\t"debug": true,\n\t"runtimes": {\n\t\t"kata": {\n\t\t\t"path": "/k"\n\t\t}\n\t}\n}\n')
  const before = await files(host.root)
  const dry = await host.setup('install', ...ALL, '--dry-run')
  t.match(dry, { exitCode: 0, stderr: '' })
  t.equal(await files(host.root), before, 'a dry run changes nothing')
  const first = await host.setup('install', ...ALL)
  t.equal(first.stdout, dry.stdout.replace('a dry run: nothing was changed\n', ''), 'and shows what will be done')
  const between = await files(host.root)
  t.same(await host.setup('install', ...ALL), { exitCode: 0, stdout: 'nothing to change', stderr: '' })
  t.equal(await files(host.root), between)
  const removed = await host.setup('uninstall', ...ALL)
  t.match(removed, { exitCode: 0, stderr: '' })
  t.equal(await files(host.root), before)
  t.same(await host.setup('uninstall', ...ALL), { exitCode: 0, stdout: 'nothing to change', stderr: '' })
})

test('uninstall leaves no default behind that would not be there', async (t) => {
  const host = Installation.create(t)
  host.write(
    DOCKER,
    '{ "default-runtime": "oci-sandbox-enforce", "runtimes": { "oci-sandbox-mine": { "path": "/x/oci-sandbox-runtime" } } }',
  )
  const set = '[plugins."io.containerd.grpc.v1.cri".containerd]\n  default_runtime_name = "oci-sandbox"\n'
  host.write(CONTAINERD, `version = 2\n${set}`)
  await host.setup('install', '--docker', '--containerd')
  const before = await files(host.root)
  t.match(await host.setup('uninstall', '--docker'), {
    ...{ exitCode: 1, stderr: /\/default-runtime is oci-sandbox-enforce: .* \[SETUP_REFUSED\]/ },
  })
  t.match(await host.setup('uninstall', '--containerd'), {
    ...{ exitCode: 1, stderr: /default_runtime_name is oci-sandbox: .* \[SETUP_REFUSED\]/ },
  })
  t.equal(await files(host.root), before)
  host.write(DOCKER, (host.read(DOCKER) ?? '').replace('"oci-sandbox-enforce",', '"runc",'))
  t.match(await host.setup('uninstall', '--docker'), { exitCode: 0 })
  t.match(JSON.parse(host.read(DOCKER) ?? ''), { runtimes: { 'oci-sandbox-mine': {} } }, "the user's own stays")
})

test('podman: what --required and --config have written stays where the manifests are brought up to date', async (t) => {
  const host = Installation.create(t)
  const config = join(host.directory, 'config.json')
  await execa('cp', [join(import.meta.dirname, '../../hooks/config.json'), config])
  await host.setup('install', '--podman', '--required', '--config', config)
  const enforce = `${HOOKS}/oci-sandbox-enforce.json`
  const written = host.read(enforce) ?? ''
  t.match(JSON.parse(written), {
    when: { always: true },
    hook: { args: ['oci-sandbox-tracer', 'hook', 'enforce', '--config', config] },
  })
  t.match(await host.setup('install', '--podman'), { exitCode: 0, stdout: 'nothing to change' })
  t.equal(host.read(enforce), written)
})

test('the diff is one that patch applies', async (t) => {
  const host = Installation.create(t)
  host.write(CONTAINERD, 'version = 2\n')
  host.write(DOCKER, '{ "debug": true }')
  const { stdout } = await host.setup('install', ...ALL, '--dry-run')
  const copy = join(host.directory, 'copy')
  await execa('cp', ['-a', host.root, copy])
  const diff = stdout.replaceAll(host.root, 'x').split('a dry run:')[0]
  await execa('patch', ['-s', '-p1', '-d', copy], { input: diff ?? '' })
  await host.setup('install', ...ALL)
  const backups = (list: string) => list.split('\n').filter((line) => !line.endsWith('.bak'))
  t.same(backups(await files(copy)), backups(await files(host.root)))
})

test('podman: manifests, and a drop-in only where it needs one', async (t) => {
  const host = Installation.create(t)
  t.match(await host.setup('install', '--podman'), { exitCode: 0, stderr: '' })
  t.same(readdirSync(host.path(HOOKS)), ['oci-sandbox-enforce.json', 'oci-sandbox-learn.json'])
  const enforce = JSON.parse(host.read(`${HOOKS}/oci-sandbox-enforce.json`) ?? '')
  t.match(enforce, { hook: { path: host.helper, args: ['oci-sandbox-tracer', 'hook', 'enforce'] } })
  t.ok(enforce.hook.env, 'with an environment of its own')
  t.equal(host.read(PODMAN), undefined)

  const config = join(host.directory, 'config.json')
  await execa('sh', ['-c', 'echo \'{"required":[{"mode":"enforce"}]}\' >"$0"', config])
  await host.setup('install', '--podman', '--required', '--config', config)
  t.match(JSON.parse(host.read(`${HOOKS}/oci-sandbox-enforce.json`) ?? ''), {
    when: { always: true },
    hook: { args: ['oci-sandbox-tracer', 'hook', 'enforce', '--config', config] },
  })
  t.match(
    JSON.parse(host.read(`${HOOKS}/oci-sandbox-learn.json`) ?? '').when,
    { annotations: {} },
    'learning is not required',
  )

  await host.setup('install', '--podman', '--runtime', '--hooks-dir', '/etc/my-hooks')
  const conf = parseToml(host.read(PODMAN) ?? '')
  t.same(at(conf, 'engine', 'hooks_dir'), [HOOKS, '/etc/my-hooks'], "podman's own directory stays")
  t.same(at(conf, 'engine', 'runtimes', 'oci-sandbox'), [host.program('oci-sandbox-runtime')])
  t.match(await host.setup('install', '--podman', '--hooks-dir', 'hooks'), { exitCode: 2, stderr: /absolute path/ })
})

test("podman: the user's own hook directories stay", async (t) => {
  const host = Installation.create(t)
  const conf = '/etc/containers/containers.conf'
  host.write(conf, '[engine]\nhooks_dir = ["/srv/hooks"]\n')
  await host.setup('install', '--podman')
  t.same(at(parseToml(host.read(PODMAN) ?? ''), 'engine', 'hooks_dir'), ['/srv/hooks', HOOKS])
  host.write(conf, `[engine]\nhooks_dir = ["/srv/hooks", "${HOOKS}"]\n`)
  await host.setup('install', '--podman')
  t.equal(host.read(PODMAN), undefined, 'a drop-in that is needed no more goes')
  host.write('/etc/containers/containers.conf.d/99-mine.conf', '[engine]\nhooks_dir = []\n')
  t.match(await host.setup('install', '--podman'), {
    exitCode: 1,
    stderr: /99-mine\.conf sets hooks_dir after .*; add \/usr\/share.* there; nothing was changed \[SETUP_REFUSED\]/,
  })
})

test('containerd: the handler takes over what the one for runc has, and nothing else is touched', async (t) => {
  const host = Installation.create(t)
  const mine = `# mine
version = 2
imports = ["/etc/containerd/conf.d/*.toml"]

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2" # said twice
  privileged_without_host_devices = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = true
    BinaryName = "/usr/bin/crun"`
  host.write(CONTAINERD, mine)
  t.match(await host.setup('install', '--containerd'), { exitCode: 0, stdout: /systemctl restart containerd/ })
  const text = host.read(CONTAINERD) ?? ''
  t.ok(text.startsWith(`${mine}\n\n# BEGIN oci-sandbox`), 'every byte of it is there')
  t.same(at(parseToml(text), ...RUNTIMES, 'oci-sandbox'), {
    runtime_type: 'io.containerd.runc.v2',
    pod_annotations: ['io.sandbox.*'],
    container_annotations: ['io.sandbox.*'],
    privileged_without_host_devices: true,
    options: { BinaryName: host.program('oci-sandbox-runtime'), SystemdCgroup: true },
  })
  t.equal(host.read(`${CONTAINERD}.oci-sandbox.bak`), mine)

  // Somebody goes on behind our block; the handler for runc changes.
  host.write(
    CONTAINERD,
    `${text.replace('SystemdCgroup = true\n    Bin', 'SystemdCgroup = false\n    Bin')}\n[debug]\nlevel = "info"\n`,
  )
  await host.setup('install', '--containerd')
  const again = parseToml(host.read(CONTAINERD) ?? '')
  t.match(at(again, ...RUNTIMES, 'oci-sandbox', 'options'), { SystemdCgroup: false })
  t.same(again.debug, { level: 'info' })
  t.equal(host.read(`${CONTAINERD}.oci-sandbox.bak`), mine, 'the backup is still the file without us')
  await host.setup('uninstall', '--containerd')
  const left = parseToml(host.read(CONTAINERD) ?? '')
  t.same(left.debug, { level: 'info' })
  t.notOk(at(left, ...RUNTIMES, 'oci-sandbox'))
})

test('containerd: without a file, with an empty one, with version 3', async (t) => {
  const host = Installation.create(t)
  await host.setup('install', '--containerd')
  t.match(parseToml(host.read(CONTAINERD) ?? ''), { version: 2 })
  t.same(await host.setup('install', '--containerd'), { exitCode: 0, stdout: 'nothing to change', stderr: '' })
  await host.setup('uninstall', '--containerd')
  t.equal(host.read(CONTAINERD), undefined)
  host.write(CONTAINERD, 'version = 3\n')
  await host.setup('install', '--containerd')
  const table = parseToml(host.read(CONTAINERD) ?? '')
  t.ok(at(table, 'plugins', 'io.containerd.cri.v1.runtime', 'containerd', 'runtimes', 'oci-sandbox'))
  host.write(CONTAINERD, 'version = 2\ndisabled_plugins = ["cri"]\n')
  t.match((await host.setup('install', '--containerd')).stdout, /disabled_plugins holds the CRI/)
})

test('docker: keys, order and indentation stay', async (t) => {
  const host = Installation.create(t)
  host.write(DOCKER, '{\n    "z": 1,\n    "log-opts": {\n        "max-size": "1m"\n    },\n    "a": [true]\n}\n', 0o600)
  chownSync(host.path(DOCKER), 1234, 4321)
  t.match(await host.setup('install', '--docker', '--config', '/etc/hosts'), {
    exitCode: 1,
    stderr: /host configuration/,
  })
  await host.setup('install', '--docker')
  const text = host.read(DOCKER) ?? ''
  t.match(text, /^\{\n {4}"z": 1,\n {4}"log-opts": \{\n {8}"max-size": "1m"\n {4}\},\n {4}"a": \[/)
  const path = host.program('oci-sandbox-runtime')
  t.same(JSON.parse(text).runtimes, {
    'oci-sandbox': { path },
    'oci-sandbox-learn': { path, runtimeArgs: ['--mode', 'learn'] },
    'oci-sandbox-enforce': { path, runtimeArgs: ['--mode', 'enforce'] },
  })
  const { mode, uid, gid } = statSync(host.path(DOCKER))
  t.same([mode & 0o777, uid, gid], [0o600, 1234, 4321], 'permissions and owner stay')
  const backup = statSync(host.path(`${DOCKER}.oci-sandbox.bak`))
  t.same(
    [backup.mode & 0o777, backup.uid, backup.gid],
    [0o600, 1234, 4321],
    'also for the backup, which may hold secrets',
  )

  const fresh = Installation.create(t)
  await fresh.setup('install', '--docker')
  t.equal(statSync(fresh.path(DOCKER)).mode & 0o777, 0o644)
  await fresh.setup('uninstall', '--docker')
  t.equal(fresh.read(DOCKER), undefined, 'a file that held nothing else goes')
})

test('a file behind a symbolic link is changed, the link stays; one out of the root is refused', async (t) => {
  const host = Installation.create(t)
  host.write('/srv/daemon.json', '{}')
  host.link(DOCKER, '../../srv/daemon.json')
  t.match(await host.setup('install', '--docker'), { exitCode: 0 })
  t.ok(lstatSync(host.path(DOCKER)).isSymbolicLink())
  t.match(JSON.parse(host.read('/srv/daemon.json') ?? ''), { runtimes: {} })
  host.link(CONTAINERD, '/etc/hostname')
  t.match(await host.setup('install', '--containerd'), { exitCode: 1, stderr: /leads out of .* \[SETUP_REFUSED\]/ })
})

test('what is not understood is not touched, nor is anything else', async (t) => {
  const cases: [path: string, text: string, message: RegExp][] = [
    [DOCKER, '{', /cannot read .*daemon\.json: .* at 1:2/],
    [DOCKER, '[]', /expected a JSON object/],
    [DOCKER, '{"runtimes": []}', /\/runtimes: expected an object/],
    [DOCKER, '{"a":1,"a":2}', /duplicate key/],
    [DOCKER, '{"a":18446744073709551615}', /a number beyond 2\^53 - 1/],
    [
      DOCKER,
      '{"runtimes":{"oci-sandbox":{"path":"/usr/bin/other"}}}',
      /\/runtimes\/oci-sandbox is not of oci-sandbox install/,
    ],
    [DOCKER, '\xff\xfe', /cannot read/],
    [CONTAINERD, 'version = ', /cannot read .*config\.toml: expected a value at 1:11/],
    [CONTAINERD, 'root = "/x"\n', /of version 1, expected 2 or 3; convert it with: containerd config migrate/],
    [CONTAINERD, 'version = 4\n', /of version 4/],
    [CONTAINERD, '# BEGIN oci-sandbox\nversion = 2\n', /do not stand there once each/],
    [CONTAINERD, 'version = 2\n# END oci-sandbox\n# BEGIN oci-sandbox\n', /do not stand there once each/],
    [
      CONTAINERD,
      'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.oci-sandbox]\n',
      /has a runtime oci-sandbox already/,
    ],
    [CONTAINERD, 'version = 2\nplugins = { }\n', /as it would become: plugins is defined twice/],
    [
      CONTAINERD,
      'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\nruntimes = { runc = {} }\n',
      /as it would become: runtimes is defined twice/,
    ],
    ['/etc/containers/containers.conf', '[engine\n', /cannot read .*containers\.conf: expected \] at 1:8/],
    [`${HOOKS}/oci-sandbox-learn.json`, '{"hook":{"path":"/bin/true"}}', /is no manifest of oci-sandbox/],
  ]
  for (const [path, text, message] of cases) {
    const host = Installation.create(t)
    host.write(path, text)
    if (text.startsWith('\xff')) await execa('sh', ['-c', 'printf "\\377\\376" >"$0"', host.path(path)])
    const before = await files(host.root)
    const result = await host.setup('install', ...ALL)
    t.match(result, { exitCode: 1, stdout: '', stderr: message }, text)
    t.match(result.stderr, /; nothing was changed \[SETUP_REFUSED\]$/)
    t.equal(await files(host.root), before, text)
  }
})

test('lines that somebody wrote into our block, or behind it into our table, are not lost silently', async (t) => {
  const host = Installation.create(t)
  await host.setup('install', '--containerd')
  const text = host.read(CONTAINERD) ?? ''
  host.write(CONTAINERD, text.replace('# END', '[plugins.mine]\n  x = 1\n# END'))
  t.match(await host.setup('install', '--containerd'), { exitCode: 1, stderr: /would alter more than/ })
  host.write(CONTAINERD, `version = 2\n[plugins.a]\nb = 1\n${text.replace('version = 2\n', '')}x = 1\n`)
  t.match(await host.setup('uninstall', '--containerd'), { exitCode: 1, stderr: /would alter more than/ })
})

test('whom to tell must be said; CRI-O; a program without its shim', async (t) => {
  const host = Installation.create(t)
  t.match(await host.setup('install'), {
    exitCode: 2,
    stderr: /say whom to tell: --podman, --containerd, --docker, --crio/,
  })
  t.match(await host.setup('uninstall', '--dry-run'), { exitCode: 2 })
  await host.setup('install', '--crio')
  t.match(at(parseToml(host.read(CRIO) ?? ''), 'crio', 'runtime', 'runtimes', 'oci-sandbox') as TomlTable, {
    runtime_path: host.program('oci-sandbox-runtime'),
    runtime_type: 'oci',
  })
  const config = join(host.directory, 'config.json')
  await execa('cp', [join(import.meta.dirname, '../../hooks/config.json'), config])
  for (const door of ['--crio', '--containerd']) {
    t.match(await host.setup('install', door, '--config', config), { exitCode: 1, stderr: /cannot be named there/ })
  }
  await execa('rm', [host.program('oci-sandbox-runtime')])
  for (const door of ['--crio', '--containerd', '--docker']) {
    t.match(await host.setup('install', door), { exitCode: 1, stderr: /oci-sandbox-runtime is missing; run make/ })
  }
  t.match(await host.setup('install', '--podman'), { exitCode: 0 }, 'podman starts the hooks, not the shim')
})
