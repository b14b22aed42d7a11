/** The containers' config.json: pure, from what a container shall run to the document that runc reads. */
import { OCI_SANDBOX, ROOTFS } from './paths.ts'

/** `plain` is stock runc: no hook, no annotation. */
export type Mode = 'plain' | 'learn' | 'enforce'

export type Program = {
  /** The policy's name in the store. */
  policy: string
  args: string[]
  env: string[]
  /** Host directories, and where the container sees them. */
  mounts: { source: string; destination: string; writable: boolean }[]
  /** Share the host's network: then nothing but the policy stands between the program and the network. */
  hostNetwork: boolean
}

/** Nobody in Debian: owns nothing in the rootfs. */
export const USER = { uid: 65534, gid: 65534 }

/** The document for one container; `config` is oci-sandbox's host configuration. */
export function configJson(program: Program, mode: Mode, config: string) {
  return {
    ociVersion: '1.0.2',
    hostname: 'demo',
    root: { path: ROOTFS, readonly: true },
    process: {
      user: USER,
      cwd: '/',
      args: program.args,
      env: ['PATH=/usr/bin:/bin', 'LANG=C.UTF-8', ...program.env],
      noNewPrivileges: true,
      // No capabilities and no rlimits: raising a limit needs CAP_SYS_RESOURCE, which a CI machine may lack.
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      ...program.mounts.map(({ source, destination, writable }) => ({
        destination,
        type: 'bind',
        source,
        options: ['bind', writable ? 'rw' : 'ro', 'nosuid', 'nodev'],
      })),
    ],
    linux: { namespaces: namespaces(program) },
    ...(mode === 'plain' ? {} : { annotations: annotations(program, mode), hooks: hooks(mode, config) }),
  }
}

function namespaces(program: Program) {
  const types = ['pid', 'ipc', 'uts', 'mount', ...(program.hostNetwork ? [] : ['network'])]
  return types.map((type) => ({ type }))
}

function annotations(program: Program, mode: Mode) {
  return { 'io.sandbox.mode': mode, 'io.sandbox.policy': program.policy }
}

/** Learning also needs poststop, where the finished trace becomes part of the policy. */
function hooks(mode: 'learn' | 'enforce', config: string) {
  const hook = {
    path: OCI_SANDBOX,
    args: ['oci-sandbox', 'hook', mode, '--config', config],
    env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'BUN_JSC_useJIT=0'],
  }
  return mode === 'learn' ? { createRuntime: [hook], poststop: [hook] } : { createRuntime: [hook] }
}
