/**
 * The README's lines for each door, as they stand there, on what make install installs. Not for Kubernetes, which is not among Debian's packages,
 * so neither is kubectl: cri.test.ts asks containerd for what the kubelet would, and deploy.test.ts looks at the manifests. Nor for CRI-O,
 * for the same reason: its configuration is that of install (deploy.test.ts).
 */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import tap, { type Test, test } from 'tap'
import { needs } from '../lib/needs.ts'

const ROOT = join(import.meta.dirname, '../..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

/** What stands in the block behind <!-- door: NAME -->. */
function linesOf(door: string): string[] {
  const block = new RegExp(`<!-- door: ${door} -->\\s*\`\`\`sh\\n([^\`]*)\`\`\``).exec(README)?.[1]
  if (block === undefined) throw new Error(`the README has no block for ${door}`)
  return block.trim().split('\n')
}

interface Ground {
  /** The current directory of the lines. */
  readonly work: string
  /** Programs that go before those of the system. */
  readonly tools: string
  /** Runs the lines after `prepare`, in a mount namespace where the installation is at its place. */
  run(lines: readonly string[], prepare?: string): Promise<{ stdout: string; stderr: string; exitCode?: number }>
}

/** One for all tests here: it has 110 MB. */
let installed: Promise<string> | undefined

async function install(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-test-'))
  tap.teardown(() => rmSync(directory, { recursive: true, force: true }))
  await execa('make', ['-s', '-o', 'build', '-C', ROOT, 'install', `DESTDIR=${directory}`])
  return directory
}

async function ground(t: Test): Promise<Ground> {
  installed ??= install()
  const installation = await installed
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  const work = join(directory, 'work')
  const tools = join(directory, 'tools')
  mkdirSync(tools)
  for (const name of ['bin', 'proc', 'dev', 'sys', 'etc', 'run', 'tmp'])
    mkdirSync(join(work, 'rootfs', name), { recursive: true })
  for (const name of ['ls', 'mkdir']) {
    copyFileSync('/usr/bin/busybox', join(work, 'rootfs/bin', name))
    chmodSync(join(work, 'rootfs/bin', name), 0o755)
  }
  copyFileSync(join(ROOT, 'config.json.example'), join(work, 'config.json'))
  const run = async (lines: readonly string[], prepare = '') => {
    const script = [
      'set -u',
      `mount --bind ${installation}/usr/local /usr/local || exit 99`,
      // Nor do ids meet those of other containers on this machine.
      'for place in oci-sandbox runc crun containerd; do',
      '  mkdir -p /run/$place && mount -t tmpfs tmpfs /run/$place || exit 99',
      'done',
      'mount -t tmpfs tmpfs /var/lib/oci-sandbox 2>/dev/null || { mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/oci-sandbox; }',
      prepare,
      ...lines.map((line) => `{ ${line}; } 2>&1; echo "exit code $?"`),
    ].join('\n')
    const args = ['--mount', '--propagation', 'private', 'bash', '-c', script]
    const env = { PATH: `${tools}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`, HOME: directory }
    return await execa('unshare', args, {
      cwd: work,
      env,
      extendEnv: false,
      reject: false,
      stdin: 'ignore',
      timeout: 120_000,
    })
  }
  return { work, tools, run }
}

/** The listing twice, then the refusal. */
function judge(t: Test, stdout: string, stderr: string): void {
  t.equal(stdout.match(/^total /gm)?.length, 2, `${stdout}\n${stderr}`)
  t.match(stdout, /exit code 0[\s\S]*exit code 0[\s\S]*Operation not permitted\s*exit code 1\s*$/)
}

test('runc', async (t) => {
  const { run } = await ground(t)
  const { stdout, stderr } = await run(linesOf('runc'))
  judge(t, stdout, stderr)
})

test('crun', needs('crun'), async (t) => {
  const { work, run } = await ground(t)
  // What crun needs where cgroup versions are mixed; see test/lib/crun.ts.
  copyFileSync('/usr/bin/crun', join(work, 'crun-itself'))
  writeFileSync(join(work, 'crun'), `#!/bin/sh\nexec ${work}/crun-itself --cgroup-manager=disabled "$@"\n`, {
    mode: 0o755,
  })
  const prepare = `mount --bind ${work}/crun /usr/bin/crun && mount -t cgroup2 none /sys/fs/cgroup || exit 99`
  const { stdout, stderr } = await run(linesOf('crun'), prepare)
  judge(t, stdout, stderr)
})

/** podman with directories of its own, and what a machine without CAP_SYS_RESOURCE needs. */
function podmanWrapper({ work, tools }: Ground): void {
  const script = `#!/bin/bash
args=()
for word; do
  args+=("$word")
  [ "$word" != run ] || args+=(--network none --ulimit nofile=1024:1024 --ulimit nproc=1000:1000)
done
exec /usr/bin/podman --root ${work}/podman --runroot ${work}/podman-run --runtime runc --cgroup-manager cgroupfs \\
  --events-backend none --storage-driver vfs "\${args[@]}"
`
  writeFileSync(join(tools, 'podman'), script, { mode: 0o755 })
}

test('podman with the shim', needs('podman'), async (t) => {
  const place = await ground(t)
  podmanWrapper(place)
  const { stdout, stderr } = await place.run(linesOf('podman'))
  judge(t, stdout, stderr)
})

/** Learns the policy that these are about. */
const LEARN = `${linesOf('podman')[0]} >&2`

test('a profile', needs('podman'), async (t) => {
  const place = await ground(t)
  podmanWrapper(place)
  const { stdout, stderr } = await place.run(linesOf('profile'), LEARN)
  t.equal(stdout.match(/^total /gm)?.length, 1, `${stdout}\n${stderr}`)
  t.match(stdout, /exit code 0[\s\S]*exit code 0[\s\S]*Operation not permitted\s*exit code 1\s*$/)
})

test('raw BPF', needs('podman'), async (t) => {
  const place = await ground(t)
  podmanWrapper(place)
  const { stdout, stderr } = await place.run(linesOf('bpf'), LEARN)
  t.match(stdout, /^exit code 0\n.*allow.*\nexit code 0\n.*errno.*\nexit code 0\s*$/i, stderr)
})

test('podman with precreate', needs('podman'), async (t) => {
  const place = await ground(t)
  podmanWrapper(place)
  // Not into the machine's /etc.
  const tree = join(place.work, 'tree')
  const lines = linesOf('precreate').map((line) => line.replace('/etc/oci-sandbox', `${tree}/etc/oci-sandbox`))
  const { stdout, stderr } = await place.run(lines, `oci-sandbox install --podman --precreate --root ${tree} >&2`)
  judge(t, stdout, stderr)
})

/** Waits in a shell until a command succeeds, for 20 seconds at most. */
const patient = (command: string) => `for _ in $(seq 200); do ${command} >/dev/null 2>&1 && break; sleep 0.1; done`

test('ctr', needs('containerd'), async (t) => {
  const place = await ground(t)
  const { work, tools, run } = place
  const toml = `version = 2
root = "${work}/containerd"
state = "${work}/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${work}/containerd.sock"
[ttrpc]
  address = "${work}/containerd.sock.ttrpc"
`
  writeFileSync(join(work, 'containerd.toml'), toml)
  writeFileSync(join(tools, 'ctr'), `#!/bin/sh\nexec /usr/bin/ctr --address ${work}/containerd.sock "$@"\n`, {
    mode: 0o755,
  })
  const start = `containerd --config ${work}/containerd.toml >${work}/log 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon' EXIT
${patient('ctr version')}`
  const { stdout, stderr } = await run(linesOf('ctr'), start)
  judge(t, stdout, stderr)
})

test('docker', needs('dockerd'), async (t) => {
  const { work, tools, run } = await ground(t)
  const daemon = {
    ...JSON.parse(readFileSync(join(ROOT, 'deploy/daemon.json'), 'utf8')),
    ...{ 'data-root': `${work}/docker`, 'exec-root': `${work}/docker-run`, pidfile: `${work}/docker.pid` },
    ...{ hosts: [`unix://${work}/docker.sock`], iptables: false, bridge: 'none', 'storage-driver': 'vfs' },
  }
  writeFileSync(join(work, 'daemon.json'), JSON.stringify(daemon))
  const script = `#!/bin/bash
args=()
for word; do
  args+=("$word")
  [ "$word" != run ] || args+=(--network none --ulimit nofile=1024:1024)
done
exec /usr/bin/docker --host unix://${work}/docker.sock "\${args[@]}"
`
  writeFileSync(join(tools, 'docker'), script, { mode: 0o755 })
  const start = `dockerd --config-file ${work}/daemon.json >${work}/log 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon; umount -l ${work}/docker* 2>/dev/null' EXIT
${patient('docker info')}
tar -C rootfs -c . | docker import - image >&2`
  const lines = linesOf('docker').map((line) => line.replace('IMAGE', 'image'))
  const { stdout, stderr } = await run(lines, start)
  judge(t, stdout, stderr)
})

test('every door of the README is here', async (t) => {
  const doors = [...README.matchAll(/<!-- door: (\w+) -->/g)].map(([, door]) => door)
  t.same(doors, ['runc', 'crun', 'podman', 'precreate', 'ctr', 'docker', 'profile', 'bpf'])
  for (const door of doors) t.equal(linesOf(door as string).length, 3, String(door))
})
