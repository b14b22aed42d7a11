/** podman's default profile, imported, against what podman itself makes of it for a container. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { encodePolicy } from '../../../src/policy/document.ts'
import { collect } from '../../lib/imports.ts'
import { container, podman } from '../../lib/podman.ts'
import { policy } from '../../lib/policies.ts'
import { Sandbox } from '../../lib/sandbox.ts'

const PROFILE = '/usr/share/containers/seccomp.json'

/** The config.json that podman hands to its runtime. The container is made, but its program is not started. */
async function configOf(sandbox: Sandbox, options: readonly string[]): Promise<string> {
  const made = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await podman({ sandbox }, ...args)
    if (exitCode !== 0) throw new Error(`podman ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const profile = ['--security-opt', `seccomp=${PROFILE}`, ...options]
  const id = await made('create', ...container(sandbox, profile, '/fixtures/act-static'))
  try {
    await made('init', id)
    const containers = join(sandbox.directory, 'podman/vfs-containers')
    const [directory] = readdirSync(containers).filter((name) => name === id)
    return readFileSync(join(containers, directory as string, 'userdata/config.json'), 'utf8')
  } finally {
    await made('rm', '--force', '--time', '0', id)
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
