/** containerd with directories and a socket of its own. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { startDaemon } from './daemon.ts'
import { IMAGE } from './image.ts'
import { type Result, resultOf, type Sandbox, SHIM } from './sandbox.ts'

export interface Containerd {
  readonly socket: string
  ctr(...args: string[]): Promise<Result>
}

/** oci-sandbox-runtime with the sandbox's configuration, for those who can give a runtime no arguments. */
export function wrapper(sandbox: Sandbox): string {
  const path = join(sandbox.directory, 'runtime')
  writeFileSync(path, `#!/bin/sh\nexec ${SHIM} --config ${sandbox.config} "$@"\n`, { mode: 0o755 })
  return path
}

/** With the CRI plugin, and a runtime handler "sandbox", where `cri` is set. */
export async function startContainerd(
  t: { teardown(handler: () => unknown): void },
  sandbox: Sandbox,
  { cri = false } = {},
): Promise<Containerd> {
  const path = (name: string) => join(sandbox.directory, name)
  const socket = path('containerd.sock')
  writeFileSync(path('containerd.toml'), toml(path, socket, cri, wrapper(sandbox)))
  const ctr = async (...args: string[]) =>
    resultOf(await execa('ctr', ['--address', socket, ...args], { reject: false, stdin: 'ignore', timeout: 60_000 }))
  const ready = async () => {
    const { stdout, exitCode } = await ctr('plugins', 'list')
    return exitCode === 0 && (!cri || /grpc\.v1\s+cri\s.*\sok$/m.test(stdout.trimEnd()))
  }
  await startDaemon(t, sandbox, ['containerd', '--config', path('containerd.toml')], ready)
  return { socket, ctr }
}

/** What this machine needs and others do not mind: no oom_score_adj below the daemon's own, no overlay file system. */
function toml(path: (name: string) => string, socket: string, cri: boolean, runtime: string): string {
  const head = `version = 2
root = "${path('containerd-root')}"
state = "${path('containerd-state')}"
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${socket}.ttrpc"
`
  if (!cri) return `disabled_plugins = ["io.containerd.grpc.v1.cri"]\n${head}`
  return `${head}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${path('cni')}"
    conf_dir = "${path('cni')}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    # Without it containerd 1.6 takes ours for the only one, and misses its default.
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.sandbox]
      runtime_type = "io.containerd.runc.v2"
      pod_annotations = ["io.sandbox.*"]
      container_annotations = ["io.sandbox.*"]
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.sandbox.options]
        BinaryName = "${runtime}"
`
}
