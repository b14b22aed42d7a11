/** The containers of a calibration: as different from each other as what a runtime does under the filter can be. */
import { tracerPath } from '../host/paths.ts'

export interface Variant {
  readonly noNewPrivileges: boolean
  readonly uid: number
  /** `run`; otherwise `create` and `start`. */
  readonly atOnce: boolean
}

const CAPABILITIES = ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_BIND_SERVICE', 'CAP_SETGID', 'CAP_SETUID']

/** config.json. The filter allows everything but one call that nobody makes: it is there to be loaded. */
export function bundleConfig({ noNewPrivileges, uid, atOnce }: Variant, rootfs: string, record: string): object {
  const root = uid === 0
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid, gid: uid, ...(root ? {} : { umask: 0o22, additionalGids: [uid + 1] }) },
      // By its path, and to be looked for in PATH.
      args: [root ? '/bin/program' : 'program', '--help'],
      env: ['PATH=/usr/bin:/bin'],
      cwd: root ? '/' : '/tmp',
      noNewPrivileges,
      capabilities: {
        bounding: CAPABILITIES,
        ...(root ? { effective: CAPABILITIES, permitted: CAPABILITIES } : {}),
        ...(root || atOnce
          ? {}
          : { effective: CAPABILITIES, permitted: CAPABILITIES, inheritable: CAPABILITIES, ambient: CAPABILITIES }),
      },
    },
    root: { path: rootfs },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
    ],
    hooks: {
      createRuntime: [
        { path: tracerPath(), args: ['oci-sandbox-tracer', 'calibrate', '--state', '--output', record], timeout: 60 },
      ],
    },
    linux: {
      namespaces: ['pid', 'mount', 'ipc', 'uts', 'network'].map((type) => ({ type })),
      seccomp: {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['kexec_load'], action: 'SCMP_ACT_ERRNO' }],
      },
    },
  }
}
