/** What a violation gets, as libseccomp's action and as the value that a filter returns (linux/seccomp.h). */
import type { Action } from 'seccomp-bpf-wasm'
import type { ViolationAction } from '../oci/annotations.ts'

/** errno.h of Linux, the same on every architecture that is supported. */
export const EPERM = 1
export const ENOSYS = 38

export const RET_KILL_PROCESS = 0x8000_0000
export const RET_ERRNO = 0x0005_0000
export const RET_LOG = 0x7ffc_0000
export const RET_ALLOW = 0x7fff_0000

export const VIOLATION: Record<ViolationAction, { action: Action; returns: number }> = {
  errno: { action: { kind: 'errno', errno: EPERM }, returns: RET_ERRNO | EPERM },
  kill: { action: { kind: 'killProcess' }, returns: RET_KILL_PROCESS },
  log: { action: { kind: 'log' }, returns: RET_LOG },
}
