/** What the kernel makes of the value that a filter returns (kernel/seccomp.c: seccomp_run_filters, __seccomp_filter). */
import { RET_ALLOW, RET_ERRNO, RET_KILL_PROCESS, RET_LOG } from './actions.ts'

/** SECCOMP_RET_* of linux/seccomp.h, besides those of actions.ts. */
export const RET_KILL_THREAD = 0x0000_0000
export const RET_TRAP = 0x0003_0000
export const RET_USER_NOTIF = 0x7fc0_0000
export const RET_TRACE = 0x7ff0_0000

/** SECCOMP_RET_ACTION_FULL and SECCOMP_RET_DATA of linux/seccomp.h. */
const ACTION = 0xffff_0000
const DATA = 0x0000_ffff
/** MAX_ERRNO of linux/err.h: larger ones become this one. */
const MAX_ERRNO = 4095

/** The words that SECCOMP_RET_* is written with in listings and messages, as libseccomp writes them. */
const NAMES = new Map([
  [RET_KILL_PROCESS, 'KILL_PROCESS'],
  [RET_KILL_THREAD, 'KILL'],
  [RET_TRAP, 'TRAP'],
  [RET_ERRNO, 'ERRNO'],
  [RET_USER_NOTIF, 'NOTIFY'],
  [RET_TRACE, 'TRACE'],
  [RET_LOG, 'LOG'],
  [RET_ALLOW, 'ALLOW'],
])
/** The actions whose data bits the kernel looks at. */
const WITH_DATA = new Set([RET_TRAP, RET_ERRNO, RET_TRACE])

/**
 * The value that stands for all that the kernel treats alike: the data bits are kept where they matter. An action that no kernel
 * header names stays as it is: this kernel kills for it, another may not.
 */
export function effectOf(value: number): number {
  const action = (value & ACTION) >>> 0
  if (!NAMES.has(action)) return value >>> 0
  if (action === RET_ERRNO) return (action | Math.min(value & DATA, MAX_ERRNO)) >>> 0
  return WITH_DATA.has(action) ? value >>> 0 : action
}

/** Of two filters' answers the one that counts: the smaller action, as a signed number; of equal ones the newer filter's. */
export function mostRestrictive(newer: number, older: number): number {
  return (older & ACTION) < (newer & ACTION) ? older : newer
}

/** "ALLOW", "ERRNO(1)", "LOG": libseccomp's words. */
export function returnName(value: number): string {
  const action = (value & ACTION) >>> 0
  const name = NAMES.get(action)
  if (name === undefined) return `0x${(value >>> 0).toString(16)}`
  const data = WITH_DATA.has(action) ? effectOf(value) & DATA : 0
  return data === 0 && action !== RET_ERRNO ? name : `${name}(${data})`
}
