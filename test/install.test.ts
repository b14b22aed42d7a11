/** make install, and config.json.example on what it installed, unchanged, on stock runc. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'

const ROOT = join(import.meta.dirname, '..')

const INSTALLED = [
  'usr/local/bin/oci-sandbox',
  'usr/local/bin/oci-sandbox-runtime',
  'usr/local/libexec/oci-sandbox/oci-sandbox-tracer',
  'usr/local/share/man/man1/oci-sandbox.1',
  'usr/local/share/man/man5/oci-sandbox.json.5',
  'usr/local/share/bash-completion/completions/oci-sandbox',
  'usr/local/share/zsh/site-functions/_oci-sandbox',
  'usr/local/share/fish/vendor_completions.d/oci-sandbox.fish',
  'usr/local/share/doc/oci-sandbox/README.md',
  'usr/local/share/doc/oci-sandbox/LICENSE',
  'usr/local/share/doc/oci-sandbox/LICENSE.libseccomp',
  'usr/local/share/doc/oci-sandbox/config.json.example',
  'usr/local/share/doc/oci-sandbox/deploy/runtimeclass.yaml',
  'usr/local/share/oci-sandbox/schema/policy.schema.json',
  'usr/share/containers/oci/hooks.d/oci-sandbox-learn.json',
  'usr/share/containers/oci/hooks.d/oci-sandbox-enforce.json',
  'etc/oci-sandbox/config.json',
]

async function installed(t: { teardown(handler: () => void): void }): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-install-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  await execa('make', ['-s', '-o', 'build', '-C', ROOT, 'install', `DESTDIR=${directory}`])
  return directory
}

test('install, install again, uninstall', async (t) => {
  const directory = await installed(t)
  for (const path of INSTALLED) t.ok(existsSync(join(directory, path)), path)
  t.equal(statSync(join(directory, 'usr/local/bin/oci-sandbox')).mode & 0o777, 0o755)
  const manifest = JSON.parse(
    readFileSync(join(directory, 'usr/share/containers/oci/hooks.d/oci-sandbox-enforce.json'), 'utf8'),
  )
  t.equal(manifest.hook.path, '/usr/local/libexec/oci-sandbox/oci-sandbox-tracer')

  const config = join(directory, 'etc/oci-sandbox/config.json')
  writeFileSync(config, '{"actions":["kill"]}')
  await execa('make', ['-s', '-o', 'build', '-C', ROOT, 'install', `DESTDIR=${directory}`])
  t.equal(readFileSync(config, 'utf8'), '{"actions":["kill"]}', "the user's configuration stays")

  await execa('make', ['-s', '-C', ROOT, 'uninstall', `DESTDIR=${directory}`])
  for (const path of INSTALLED.filter((name) => !name.startsWith('etc/')))
    t.notOk(existsSync(join(directory, path)), path)
  t.ok(existsSync(config))
})

test('the installed program finds its parts', async (t) => {
  const directory = await installed(t)
  const { stdout } = await execa(join(directory, 'usr/local/bin/oci-sandbox'), ['doctor', '--json'], {
    env: {},
    extendEnv: false,
    reject: false,
  })
  const findings: { check: string; state: string; found: string }[] = JSON.parse(stdout)
  const helper = findings.find(({ check }) => check === 'helper')
  t.match(helper, { state: 'ok', found: join(directory, 'usr/local/libexec/oci-sandbox/oci-sandbox-tracer') })
  t.match(
    findings.find(({ check }) => check === 'program'),
    { state: 'ok' },
  )
})

test('config.json.example runs as it is: learn, then enforce', async (t) => {
  const directory = await installed(t)
  const bundle = join(directory, 'bundle')
  const example = readFileSync(join(ROOT, 'config.json.example'), 'utf8')
  await execa('mkdir', ['-p', join(directory, 'var/lib'), bundle])
  // In a mount namespace of its own the installation is at its place, and nothing of this machine's is touched.
  const script = `
    set -eu
    mount --bind "$1/usr/local" /usr/local
    mount -t tmpfs tmpfs /var/lib/oci-sandbox 2>/dev/null || { mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/oci-sandbox; }
    mount -t tmpfs tmpfs /etc/oci-sandbox 2>/dev/null || true
    mkdir "$1/bundle/rootfs"
    mount --bind "$2" "$1/bundle/rootfs"
    cd "$1/bundle"
    runc --root "$1/runc" run example-learn
    oci-sandbox policy show example --json >"$1/policy.json"
    sed -i 's/"io.sandbox.mode": "learn"/"io.sandbox.mode": "enforce"/' config.json
    runc --root "$1/runc" run example-enforce
    sed -i 's|"/bin/ls", "-l", "/"|"/bin/sh", "-c", "/bin/ls"|' config.json
    if runc --root "$1/runc" run example-other; then exit 99; fi
  `
  writeFileSync(join(bundle, 'config.json'), example)
  const rootfs = join(ROOT, 'build/demo/rootfs')
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', directory, rootfs]
  const { stdout, stderr, exitCode } = await execa('unshare', args, {
    env: { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    extendEnv: false,
    reject: false,
  })
  t.equal(exitCode, 0, stderr)
  t.equal(stdout.match(/^total /gm)?.length, 2, 'ls ran learned and enforced')
  t.match(JSON.parse(readFileSync(join(directory, 'policy.json'), 'utf8')), { name: 'example', complete: true })
})
