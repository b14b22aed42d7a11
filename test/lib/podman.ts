/** podman with everything of its own below a sandbox's directory, and with what a machine without CAP_SYS_RESOURCE needs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import { OCI_SANDBOX, type Result, resultOf, type Sandbox, TRACER } from './sandbox.ts'

const ROOT = join(import.meta.dirname, '../..')

export interface Podman {
  readonly sandbox: Sandbox
  /** The path or name of the runtime. Default: runc. */
  readonly runtime?: string
  /** Global options of the runtime. */
  readonly runtimeFlags?: readonly string[]
  /** Global options of podman. */
  readonly globals?: readonly string[]
  /** Another way to start podman: in a mount namespace of its own. */
  readonly prefix?: readonly string[]
}

/** podman COMMAND... */
export async function podman(
  { sandbox, runtime, runtimeFlags, globals, prefix }: Podman,
  ...command: string[]
): Promise<Result> {
  const own = ['--root', join(sandbox.directory, 'podman'), '--runroot', join(sandbox.directory, 'podman-run')]
  const line = [
    ...(prefix ?? []),
    ...['podman', ...own, '--runtime', runtime ?? 'runc', '--events-backend', 'none', '--storage-driver', 'vfs'],
    ...(globals ?? ['--cgroup-manager', 'cgroupfs']),
    ...(runtimeFlags ?? []).flatMap((flag) => ['--runtime-flag', flag]),
    ...command,
  ]
  const [program = '', ...args] = line
  return resultOf(await execa(program, args, { reject: false, stdin: 'ignore', timeout: 60_000 }))
}

/** The arguments of `podman run` and `podman create` for a container of the fixture programs: options, then the command. */
export function container(sandbox: Sandbox, options: readonly string[], command: string): string[] {
  return [
    ...['--network', 'none', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1000:1000'],
    ...options,
    ...['--volume', `${join(ROOT, 'build/demo/rootfs/usr')}:/usr:ro`, '--rootfs', join(sandbox.directory, 'rootfs')],
    ...command.split(' '),
  ]
}

export function annotated(mode: string, policy = 'test'): string[] {
  return ['--annotation', `io.sandbox.mode=${mode}`, '--annotation', `io.sandbox.policy=${policy}`]
}

/** Puts manifests into a directory of hooks, with the sandbox's configuration. */
export function hooksDirectory(sandbox: Sandbox, name: string, hooks: readonly string[]): string {
  const directory = join(sandbox.directory, name)
  mkdirSync(directory)
  for (const hook of hooks) {
    const manifest = JSON.parse(readFileSync(join(ROOT, `hooks/hooks.d/oci-sandbox-${hook}.json.in`), 'utf8'))
    manifest.hook.path = hook === 'enforce' ? TRACER : OCI_SANDBOX
    manifest.hook.args.push('--config', sandbox.config)
    writeFileSync(join(directory, `oci-sandbox-${hook}.json`), JSON.stringify(manifest))
  }
  return directory
}

/** podman asks a runtime whose name it does not know neither for JSON nor for --cgroups=disabled. Goes before podman. */
export function knowing(sandbox: Sandbox, runtime: string): string[] {
  const path = join(sandbox.directory, 'containers.conf')
  const lists = ['json', 'nocgroup'].map((what) => `runtime_supports_${what} = ["${basename(runtime)}"]\n`)
  writeFileSync(path, `[engine]\n${lists.join('')}`)
  return ['env', `CONTAINERS_CONF=${path}`]
}
