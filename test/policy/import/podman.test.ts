/** podman's default profile, imported, against what podman itself makes of it for a container. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { encodePolicy } from '../../../src/policy/document.ts'
import { collect } from '../../lib/imports.ts'
import { policy } from '../../lib/policies.ts'
import { Sandbox } from '../../lib/sandbox.ts'

const PROFILE = '/usr/share/containers/seccomp.json'

/** The config.json that podman hands to its runtime. The container is made, but its program is not started. */
async function configOf(sandbox: Sandbox, options: readonly string[]): Promise<string> {
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
  const podman = (...args: string[]) => execa('podman', [...globals, ...args], { stdin: 'ignore', timeout: 60_000 })
  // What a machine without CAP_SYS_RESOURCE needs is here for all.
  const limits = ['--network', 'none', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000']
  const rootfs = ['--rootfs', join(sandbox.directory, 'rootfs'), '/fixtures/act-static']
  const { stdout: id } = await podman(
    'create',
    ...limits,
    '--security-opt',
    `seccomp=${PROFILE}`,
    ...options,
    ...rootfs,
  )
  try {
    await podman('init', id)
    const containers = join(sandbox.directory, 'podman/vfs-containers')
    const [directory] = readdirSync(containers).filter((name) => name === id)
    return readFileSync(join(containers, directory as string, 'userdata/config.json'), 'utf8')
  } finally {
    await podman('rm', '--force', '--time', '0', id)
  }
}

for (const options of [
  [],
  ['--cap-drop', 'all'],
  ['--cap-add', 'sys_admin', '--cap-add', 'audit_write', '--cap-add', 'sys_ptrace'],
]) {
  test(`podman run ${options.join(' ')}: the import allows what podman's runtime is told to allow`, async (t) => {
    const sandbox = await Sandbox.create(t)
    const config = await configOf(sandbox, options)
    const capabilities = new Set<string>(JSON.parse(config).process.capabilities?.bounding ?? [])
    const resolved = collect('oci', config)
    const imported = collect('oci', readFileSync(PROFILE, 'utf8'), { capabilities })
    const text = (found: typeof resolved) => encodePolicy(policy([], { architectures: found.architectures() }))
    t.equal(text(imported), text(resolved), `with ${capabilities.size} capabilities`)
    t.ok((imported.architectures().x86_64?.syscalls.length ?? 0) > 300)
  })
}
