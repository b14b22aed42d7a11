/** doctor finds what is half installed, in trees of configuration files. */
import { chmodSync, chownSync, copyFileSync, linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import type { Finding } from '../../src/setup/finding.ts'
import { Installation } from '../lib/installation.ts'

const HOOKS = '/usr/share/containers/oci/hooks.d'
const PODMAN_HOOKS = '/etc/oci-sandbox/podman-hooks.d'
const CHECKS = ['manifest', 'podman', 'containerd', 'docker', 'crio', 'required']
const ALL = ['--podman', '--containerd', '--docker', '--crio', '--runtime']

/** What doctor says of the configuration files; `ready`: its exit code is 0. */
async function examine(host: Installation, ...args: string[]): Promise<{ ready: boolean; findings: Finding[] }> {
  const { stdout, exitCode } = await host.setup('doctor', '--json', ...args)
  const findings: Finding[] = JSON.parse(stdout)
  return { ready: exitCode === 0, findings: findings.filter(({ check }) => CHECKS.includes(check)) }
}

function states(findings: readonly Finding[]): string[] {
  return findings.filter(({ state }) => state !== 'ok').map(({ check, state }) => `${check}: ${state}`)
}

function change(host: Installation, path: string, from: string | RegExp, to: string): void {
  host.write(path, (host.read(path) ?? '').replace(from, to))
}

test('what install installs is in order, and what is not installed is no problem', async (t) => {
  const host = Installation.create(t)
  const nothing = await examine(host)
  t.same(states(nothing.findings), ['podman: warning'])
  t.ok(nothing.ready)
  await host.setup('install', ...ALL)
  const { ready, findings } = await examine(host)
  t.same(states(findings), [])
  t.ok(ready)
  const found = findings.map((finding) => finding.found).join('\n')
  for (const part of ['hook learn', 'hook enforce', 'config.toml: runtime oci-sandbox ->', 'oci-sandbox-learn ->']) {
    t.match(found, part)
  }
  t.match(found, /whether the engine has read it, docker info tells/)
  const text = await host.setup('doctor')
  t.match(text.stdout, /^ok +manifest: .*oci-sandbox-learn\.json -> .* hook learn$/m)
})

test('half installed', async (t) => {
  const learn = `${HOOKS}/oci-sandbox-learn.json`
  const enforce = `${HOOKS}/oci-sandbox-enforce.json`
  const cases: [what: string, damage: (host: Installation) => void, states: string[], found: RegExp][] = [
    [
      'a manifest whose program is missing',
      (host) => change(host, enforce, host.helper, '/nonexistent/oci-sandbox'),
      ['manifest: problem'],
      /oci-sandbox-enforce\.json: \/nonexistent\/oci-sandbox is not there: podman SILENTLY skips this hook/,
    ],
    [
      'a program that cannot be executed',
      (host) => {
        writeFileSync(host.path('/oci-sandbox'), '#!/bin/sh\n', { mode: 0o644 })
        change(host, enforce, host.helper, host.path('/oci-sandbox'))
      },
      ['manifest: problem'],
      /cannot be executed/,
    ],
    [
      'a program that others can change',
      (host) => {
        writeFileSync(host.path('/oci-sandbox'), '#!/bin/sh\n')
        chmodSync(host.path('/oci-sandbox'), 0o777)
        change(host, enforce, host.helper, host.path('/oci-sandbox'))
      },
      ['manifest: problem'],
      /can be changed by others than root/,
    ],
    [
      "another user's program",
      (host) => {
        writeFileSync(host.path('/oci-sandbox'), '#!/bin/sh\n', { mode: 0o755 })
        chownSync(host.path('/oci-sandbox'), 1000, 1000)
        change(host, learn, host.program('oci-sandbox'), host.path('/oci-sandbox'))
      },
      ['manifest: problem'],
      /can be changed by others than root/,
    ],
    [
      'another version',
      (host) => {
        writeFileSync(host.path('/oci-sandbox'), '#!/bin/sh\necho oci-sandbox 0.0.1\n', { mode: 0o755 })
        change(host, enforce, host.helper, host.path('/oci-sandbox'))
      },
      ['manifest: warning'],
      /oci-sandbox is oci-sandbox 0\.0\.1, and this is /,
    ],
    [
      'a helper without the program that it asks',
      (host) => {
        mkdirSync(host.path('/alone'))
        linkSync(host.helper, host.path('/alone/oci-sandbox-tracer'))
        change(host, enforce, host.helper, host.path('/alone/oci-sandbox-tracer'))
      },
      ['manifest: problem'],
      /oci-sandbox-tracer asks oci-sandbox about containers, which is neither .*: no container starts/,
    ],
    [
      'no enforce',
      (host) => rmSync(host.path(enforce)),
      ['podman: problem'],
      /ask for enforce start WITHOUT their sandbox/,
    ],
    ['no learn', (host) => rmSync(host.path(learn)), ['podman: problem'], /ask for learn do not start/],
    [
      'a manifest that is none',
      (host) => host.write(learn, '{'),
      ['manifest: problem', 'podman: problem'],
      /at 1:2: podman starts no/,
    ],
    [
      'a hook that we have not',
      (host) => change(host, learn, '"learn"', '"lern"'),
      ['manifest: problem', 'podman: problem'],
      /names no hook of ours/,
    ],
    [
      'no environment',
      (host) => change(host, learn, /"env": \[[^\]]*\],/, ''),
      ['manifest: warning'],
      /whole environment/,
    ],
    [
      'precreate where CRI-O reads',
      (host) => host.write(`${HOOKS}/oci-sandbox-precreate.json`, manifestOf(host, 'precreate')),
      ['manifest: problem'],
      /which only podman knows: CRI-O, which reads this directory, rejects it/,
    ],
    [
      'precreate where podman does not read',
      (host) => host.write(`${PODMAN_HOOKS}/oci-sandbox-precreate.json`, manifestOf(host, 'precreate')),
      ['podman: warning'],
      /podman-hooks\.d\/oci-sandbox-precreate\.json is in a directory that podman does not read/,
    ],
    [
      "podman's configuration is broken",
      (host) => host.write('/etc/containers/containers.conf', '[engine'),
      ['podman: problem'],
      /containers\.conf: expected \] at 1:8/,
    ],
    [
      'podman looks elsewhere',
      (host) => host.write('/etc/containers/containers.conf', '[engine]\nhooks_dir = ["/srv/hooks"]\n'),
      ['podman: warning', 'podman: warning', 'podman: warning'],
      /podman finds no hook manifest/,
    ],
    [
      'the shim is gone',
      (host) => rmSync(host.program('oci-sandbox-runtime')),
      ['podman: problem', 'containerd: problem', ...Array(3).fill('docker: problem'), 'crio: problem'],
      /config\.toml: runtime oci-sandbox: .*oci-sandbox-runtime is not there: no container starts with this runtime/,
    ],
    [
      'containerd without BinaryName',
      (host) => change(host, '/etc/containerd/config.toml', /.*BinaryName.*/, ''),
      ['containerd: problem'],
      /plain runc/,
    ],
    [
      'a broken config.toml',
      (host) => host.write('/etc/containerd/config.toml', '['),
      ['containerd: problem'],
      /config\.toml: expected a key at 1:2/,
    ],
    [
      'a broken daemon.json',
      (host) => host.write('/etc/docker/daemon.json', '{'),
      ['docker: problem'],
      /daemon\.json: .* at 1:2/,
    ],
  ]
  for (const [what, damage, expected, message] of cases) {
    const host = Installation.create(t)
    await host.setup('install', ...ALL)
    damage(host)
    const { ready, findings } = await examine(host)
    t.same(states(findings), expected, what)
    t.equal(ready, !expected.some((state) => state.endsWith('problem')), `${what}: exit code`)
    const wrong = findings.filter(({ state }) => state !== 'ok')
    t.match(wrong.map(({ found }) => found).join('\n'), message, what)
    t.ok(
      wrong.every(({ remedy }) => remedy !== undefined),
      `${what}: says what to do`,
    )
  }
})

function manifestOf(host: Installation, stage: string): string {
  const hook = { path: host.program('oci-sandbox'), args: ['oci-sandbox', 'hook', 'precreate'], env: ['PATH=/usr/bin'] }
  return JSON.stringify({ version: '1.0.0', hook, when: { always: true }, stages: [stage] })
}

test('a stripped program', async (t) => {
  const host = Installation.create(t)
  await host.setup('install', '--podman')
  const stripped = join(host.directory, 'oci-sandbox')
  copyFileSync(host.program('oci-sandbox'), stripped)
  await execa('strip', [stripped])
  // In the place of the one that the manifests name; doctor itself is the good one, elsewhere.
  const good = join(host.directory, 'doctor')
  renameSync(host.program('oci-sandbox'), good)
  renameSync(stripped, host.program('oci-sandbox'))
  const result = await execa(good, ['doctor', '--json', '--root', host.root], {
    reject: false,
    env: {},
    extendEnv: false,
  })
  t.equal(result.exitCode, 1)
  const findings: Finding[] = JSON.parse(result.stdout)
  const wrong = findings.filter(({ check, state }) => check === 'manifest' && state === 'problem')
  t.equal(wrong.length, 2)
  t.match(
    wrong[0]?.found,
    /does not answer .* \(a stripped binary does nothing\): containers would start without their sandbox/,
  )
})

test('--hooks-dir, as podman has it', async (t) => {
  const host = Installation.create(t)
  await host.setup('install', '--podman')
  await execa('mv', [host.path(HOOKS), host.path('/srv')])
  t.same(states((await examine(host)).findings), ['podman: warning'])
  t.same(states((await examine(host, '--hooks-dir', '/srv')).findings), [])
})

test('required rules and manifests that do not fit', async (t) => {
  const host = Installation.create(t)
  const config = join(host.directory, 'config.json')
  writeFileSync(config, JSON.stringify({ required: [{ image: 'a', mode: 'learn' }, { mode: 'enforce' }] }))
  await host.setup('install', '--podman', '--config', config)
  t.same(states((await examine(host, '--config', config)).findings), ['required: warning', 'required: warning'])
  host.write('/usr/bin/podman', '')
  const annotated = await examine(host, '--config', config)
  t.same(states(annotated.findings), ['required: problem', 'required: problem'])
  t.match(annotated.findings.at(-1)?.found, /others start WITHOUT it/)
  await host.setup('install', '--podman', '--required', '--config', config)
  t.same(states((await examine(host, '--config', config)).findings), [])
})

test('manifests that do nothing, or too much', async (t) => {
  const host = Installation.create(t)
  const enforce = `${HOOKS}/oci-sandbox-enforce.json`
  await host.setup('install', '--podman')
  const text = host.read(enforce) ?? ''
  host.write(enforce, text.replace('"createRuntime"', '"poststop"'))
  const late = await examine(host)
  t.same(states(late.findings), ['manifest: problem'])
  t.match(late.findings.find(({ state }) => state === 'problem')?.found, /hook enforce works in createRuntime alone/)
  host.write(enforce, text)
  host.write(`${HOOKS}/another.json`, text)
  const twice = await examine(host)
  t.same(states(twice.findings), ['podman: problem'])
  t.match(twice.findings.at(-1)?.found, /podman runs hook enforce 2 times/)
  rmSync(host.path(`${HOOKS}/another.json`))
  // Of one name podman takes what stands in the last directory.
  host.write('/srv/hooks/oci-sandbox-enforce.json', text.replace('"createRuntime"', '"poststop"'))
  const hidden = await examine(host, '--hooks-dir', '/srv/hooks')
  t.same(states(hidden.findings), ['manifest: problem', 'podman: warning'])
  t.match(hidden.findings.at(-1)?.found, /has the same name, and stands in a later directory/)
})

test('the helper and the runtime', async (t) => {
  const host = Installation.create(t)
  rmSync(join(host.directory, 'prefix/libexec'), { recursive: true })
  const config = join(host.directory, 'config.json')
  writeFileSync(config, JSON.stringify({ runtime: '/nonexistent/runc' }))
  const { stdout, exitCode } = await host.setup('doctor', '--config', config)
  t.equal(exitCode, 1)
  t.match(stdout, /^PROBLEM helper: the native helper is missing: .*\n +-> install it again/m)
  t.match(stdout, /^PROBLEM kernel: /m, 'so nothing is known of the kernel')
  t.match(
    stdout,
    /^warning \/nonexistent\/runc: oci-sandbox-runtime cannot become \/nonexistent\/runc: .* there is no program .*\n +-> set runtime/m,
  )
})
