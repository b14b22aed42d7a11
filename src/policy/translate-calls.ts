/**
 * Which calls of one architecture do what a call of another one does, where the names differ: what siblings.ts has, and the calls below, that
 * stand in for each other only between architectures. Pure.
 */
import type { Comparison } from '../generated/policy.ts'
import type { ArchitectureName } from './document.ts'
import { type StandIn, standInsOf } from './siblings.ts'

/** The low 32 bits of an argument, which is all that the kernel looks at of an int. */
const INT = 0xffff_ffff

const equals = (index: number, value: number): Comparison => ({ index, op: 'masked==', value, mask: INT })

/** SIGCHLD of asm-generic/signal.h, and what linux/sched.h has for a fork and a vfork. */
export const SIGCHLD = 17
const CLONE_VM = 0x100
const CLONE_VFORK = 0x4000
export const VFORK_FLAGS = CLONE_VM | CLONE_VFORK | SIGCHLD
/** CLONE_CHILD_CLEARTID and CLONE_CHILD_SETTID of linux/sched.h: memory of the child's own, which a C library's fork may ask for. */
const CHILD_TID = 0x0020_0000 | 0x0100_0000

/** open's flags for creat (creat(2)): O_WRONLY, O_CREAT and O_TRUNC of asm-generic/fcntl.h; what a C library adds does not matter here. */
const CREAT_FLAGS = 0o1 | 0o100 | 0o1000
const O_ACCMODE = 0o3

/** As one who does no more than fork does on architectures without it. */
const FORK: StandIn = ['clone', { index: 0, op: 'masked==', value: SIGCHLD, mask: INT - CHILD_TID }]
const VFORK: StandIn = ['clone', equals(0, VFORK_FLAGS)]

/** One way only. */
const EQUIVALENTS: Readonly<Record<string, readonly StandIn[]>> = {
  alarm: ['setitimer'],
  creat: [
    ['open', { index: 1, op: 'masked==', value: CREAT_FLAGS, mask: O_ACCMODE | CREAT_FLAGS }],
    ['openat', { index: 2, op: 'masked==', value: CREAT_FLAGS, mask: O_ACCMODE | CREAT_FLAGS }],
  ],
  fork: [FORK, VFORK],
  vfork: [VFORK, FORK],
  getpgrp: [['getpgid', equals(0, 0)]],
  nice: ['getpriority', 'setpriority'],
  oldfstat: ['fstat'],
  oldlstat: ['lstat', 'newfstatat'],
  oldolduname: ['uname'],
  oldstat: ['stat', 'newfstatat'],
  olduname: ['uname'],
  pause: ['ppoll', 'rt_sigsuspend'],
  readdir: ['getdents64'],
  recv: ['recvfrom'],
  send: ['sendto'],
  sgetmask: ['rt_sigprocmask'],
  sigaction: ['rt_sigaction'],
  signal: ['rt_sigaction'],
  sigpending: ['rt_sigpending'],
  sigsuspend: ['rt_sigsuspend'],
  ssetmask: ['rt_sigprocmask'],
  stime: ['clock_settime', 'settimeofday'],
  time: ['clock_gettime', 'gettimeofday'],
  umount: [['umount2', equals(1, 0)]],
}

/** Names that differ with the size of users, offsets and structures: each the other's stand-in. */
const WIDE: readonly (readonly [string, string])[] = [
  ...['chown', 'lchown', 'fchown', 'setuid', 'setgid', 'setreuid', 'setregid', 'setresuid', 'setresgid', 'setfsuid'],
  ...['setfsgid', 'setgroups', 'getuid', 'getgid', 'geteuid', 'getegid', 'getresuid', 'getresgid', 'getgroups'],
].map((name) => [name, `${name}32`] as const)

const PAIRS: readonly (readonly [string, string])[] = [
  ...WIDE,
  ...['fcntl', 'truncate', 'ftruncate', 'stat', 'lstat', 'fstat', 'statfs', 'fstatfs', 'sendfile'].map(
    (name) => [name, `${name}64`] as const,
  ),
  ['newfstatat', 'fstatat64'],
  ['mmap', 'mmap2'],
  ['lseek', '_llseek'],
  ['select', '_newselect'],
  ['getrlimit', 'ugetrlimit'],
  ['fadvise64', 'fadvise64_64'],
  ['fadvise64', 'arm_fadvise64_64'],
  ['fadvise64_64', 'arm_fadvise64_64'],
  ['sync_file_range', 'arm_sync_file_range'],
]

/** The calls that x86 also makes through socketcall (SYS_* of linux/net.h) and ipc (linux/ipc.h, of whose first argument 16 bits count). */
const MULTIPLEXED: Readonly<
  Record<string, { readonly mask: number; readonly calls: Readonly<Record<number, string>> }>
> = {
  ipc: {
    mask: 0xffff,
    calls: {
      ...{ 1: 'semop', 2: 'semget', 3: 'semctl', 4: 'semtimedop', 11: 'msgsnd', 12: 'msgrcv', 13: 'msgget' },
      ...{ 14: 'msgctl', 21: 'shmat', 22: 'shmdt', 23: 'shmget', 24: 'shmctl' },
    },
  },
  socketcall: {
    mask: INT,
    calls: {
      ...{ 1: 'socket', 2: 'bind', 3: 'connect', 4: 'listen', 5: 'accept', 6: 'getsockname', 7: 'getpeername' },
      ...{ 8: 'socketpair', 9: 'send', 10: 'recv', 11: 'sendto', 12: 'recvfrom', 13: 'shutdown', 14: 'setsockopt' },
      ...{ 15: 'getsockopt', 16: 'sendmsg', 17: 'recvmsg', 18: 'accept4', 19: 'recvmmsg', 20: 'sendmmsg' },
    },
  },
}

/** The calls of a multiplexer, by its first argument; undefined: it is none. */
export function multiplexed(name: string): Readonly<Record<number, string>> | undefined {
  return Object.hasOwn(MULTIPLEXED, name) ? MULTIPLEXED[name]?.calls : undefined
}

/**
 * What is left of a call where others are refused: x86's socketcall and ipc make those, too, and libseccomp refuses both ways. Undefined: the call
 * as a whole; no rules: nothing of it.
 */
export function restOf(
  architecture: ArchitectureName,
  name: string,
  isRefused: (call: string) => boolean,
): Comparison[][] | undefined {
  const one = architecture === 'x86' && Object.hasOwn(MULTIPLEXED, name) ? MULTIPLEXED[name] : undefined
  if (one === undefined || !Object.values(one.calls).some(isRefused)) return undefined
  const { mask, calls } = one
  const left = Object.entries(calls).filter(([, call]) => !isRefused(call))
  return left.map(([number]) => [{ index: 0, op: 'masked==', value: Number(number), mask }])
}

/** What other architectures may call instead. A stand-in with comparisons is only for calls with any arguments. */
export function equivalentsOf(name: string): readonly StandIn[] {
  const pairs = PAIRS.filter((pair) => pair.includes(name)).map(([a, b]) => (a === name ? b : a))
  const parts = Object.entries(MULTIPLEXED).flatMap(([multiplexer, { mask, calls }]): StandIn[] =>
    Object.entries(calls)
      .filter(([, call]) => call === name)
      .map(([number]) => [multiplexer, { index: 0, op: 'masked==', value: Number(number), mask }]),
  )
  const own = Object.hasOwn(EQUIVALENTS, name) ? (EQUIVALENTS[name] as readonly StandIn[]) : []
  return [...own, ...pairs, ...standInsOf(name), ...parts]
}

/** Where arguments of one call stand in another: by index. Others have nothing in common, as far as is known here. */
const MOVED: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  'fcntl fcntl64': { 1: 1 },
  'fcntl64 fcntl': { 1: 1 },
  'futex futex_time64': { 1: 1 },
  'futex_time64 futex': { 1: 1 },
  'mmap mmap2': { 2: 2 },
  'mmap2 mmap': { 2: 2 },
  'open openat': { 1: 2 },
  'openat open': { 2: 1 },
}

/** Undefined: it is not known that any argument of the one call is one of the other. */
export function movedArguments(from: string, to: string): Readonly<Record<number, number>> | undefined {
  return MOVED[`${from} ${to}`]
}

/** Calls whose other arguments than the first three stand in another order (CONFIG_CLONE_BACKWARDS: x86, arm, aarch64; clone(2)). */
export function sameOrder(call: string, index: number, from: ArchitectureName, to: ArchitectureName): boolean {
  const wide = (architecture: ArchitectureName) => architecture === 'x86_64' || architecture === 'aarch64'
  if (call === 'clone') return index < 3
  // 32-bit ABIs put 64-bit arguments into two registers each.
  return wide(from) && wide(to)
}
