/**
 * Calls that stand in for each other: which one a program makes is its C library's choice, and the kernel's, and changes with their
 * versions. A policy that learned one of them gets those that give no more power than it, marked with `via`. Pure.
 *
 * One table. Each line: a call -> what may be made instead of it. Left out on purpose:
 * - clone, clone3, fork from clone: a filter cannot look into the structure that clone3 takes, so allowing it because clone was learned
 *   would allow new processes and namespaces; where neither was learned, a policy refuses forks, and must go on to. A C library
 *   falls back from clone3 to clone when it gets ENOSYS or EPERM for it. The same for a clone that was learned for threads: fork is more.
 * - execveat from execve: it also executes what has no name in the file system.
 * - fstat to stat, newfstatat, statx: a descriptor is less than every path.
 * - futex_wait and its like to futex; socketcall and ipc from single calls: those are many calls in one.
 */
import type { AllowedSyscall, Comparison, PolicyDocument } from '../generated/policy.ts'
import { architecturesOf, canonicalPolicy } from './document.ts'
import { isUnrestricted } from './learned.ts'
import type { SyscallNames } from './names.ts'

/** An int argument as the kernel sees it: its lower 32 bits, whatever the upper ones are. */
const INT = 0xffff_ffff

/** O_NONBLOCK and O_CLOEXEC of asm-generic/fcntl.h, which x86 and ARM share. */
const PIPE_FLAGS = 0o4000 | 0o2000000
/** RENAME_NOREPLACE, linux/fs.h. */
const RENAME_NOREPLACE = 1
/** AT_REMOVEDIR, linux/fcntl.h: unlinkat as rmdir. */
const AT_REMOVEDIR = 0x200

/** No bit of an int argument but these. */
function onlyBits(index: number, bits: number): Comparison {
  return { index, op: 'masked==', value: 0, mask: INT - bits }
}

function equals(index: number, value: number): Comparison {
  return { index, op: 'masked==', value, mask: INT }
}

/** A stand-in: with any arguments, or with those that one of the rules describes. */
export type StandIn = string | readonly [name: string, ...rule: Comparison[]]

const SIBLINGS: Readonly<Record<string, readonly StandIn[]>> = {
  // Files by path. The newer ones take flags that restrict the look-up, or say it in one call.
  open: ['openat', 'openat2'],
  openat: ['open', 'openat2'],
  openat2: ['open', 'openat'],
  stat: ['newfstatat', 'lstat', 'statx'],
  lstat: ['newfstatat', 'stat', 'statx'],
  newfstatat: ['stat', 'lstat', 'fstat', 'statx'],
  statx: ['stat', 'lstat', 'fstat', 'newfstatat', 'stat64', 'lstat64', 'fstat64', 'fstatat64'],
  stat64: ['fstatat64', 'lstat64', 'statx'],
  lstat64: ['fstatat64', 'stat64', 'statx'],
  fstatat64: ['stat64', 'lstat64', 'fstat64', 'statx'],
  access: ['faccessat', 'faccessat2'],
  faccessat: ['access', 'faccessat2'],
  faccessat2: ['access', 'faccessat'],
  readlink: ['readlinkat'],
  readlinkat: ['readlink'],
  mkdir: ['mkdirat'],
  mkdirat: ['mkdir'],
  mknod: ['mknodat'],
  mknodat: ['mknod'],
  symlink: ['symlinkat'],
  symlinkat: ['symlink'],
  link: [['linkat', equals(4, 0)]],
  linkat: ['link'],
  unlink: [['unlinkat', equals(2, 0)]],
  rmdir: [['unlinkat', equals(2, AT_REMOVEDIR)]],
  unlinkat: ['unlink', 'rmdir'],
  rename: ['renameat', ['renameat2', onlyBits(4, RENAME_NOREPLACE)]],
  renameat: ['rename', ['renameat2', onlyBits(4, RENAME_NOREPLACE)]],
  renameat2: ['rename', 'renameat'],
  chmod: ['fchmodat', 'fchmodat2'],
  fchmodat: ['chmod', 'fchmodat2'],
  fchmodat2: ['chmod', 'fchmodat'],
  chown: ['fchownat', 'lchown'],
  lchown: ['fchownat', 'chown'],
  fchownat: ['chown', 'lchown'],
  utime: ['utimes', 'futimesat', 'utimensat', 'utimensat_time64'],
  utimes: ['utime', 'futimesat', 'utimensat', 'utimensat_time64'],
  futimesat: ['utime', 'utimes', 'utimensat', 'utimensat_time64'],
  utimensat: ['utime', 'utimes', 'futimesat'],
  getdents: ['getdents64'],
  getdents64: ['getdents'],
  // Descriptors.
  dup2: ['dup3'],
  dup3: ['dup2'],
  pipe: [['pipe2', onlyBits(1, PIPE_FLAGS)]],
  pipe2: ['pipe'],
  close_range: ['close'],
  eventfd: ['eventfd2'],
  eventfd2: ['eventfd'],
  signalfd: ['signalfd4'],
  signalfd4: ['signalfd'],
  inotify_init: ['inotify_init1'],
  inotify_init1: ['inotify_init'],
  accept: ['accept4'],
  accept4: ['accept'],
  preadv: [['preadv2', equals(5, 0)]],
  preadv2: ['preadv'],
  pwritev: [['pwritev2', equals(5, 0)]],
  pwritev2: ['pwritev'],
  // Waiting.
  epoll_create: ['epoll_create1'],
  epoll_create1: ['epoll_create'],
  epoll_wait: ['epoll_pwait', 'epoll_pwait2'],
  epoll_pwait: ['epoll_wait', 'epoll_pwait2'],
  epoll_pwait2: ['epoll_wait', 'epoll_pwait'],
  poll: ['ppoll', 'ppoll_time64'],
  ppoll: ['poll'],
  select: ['pselect6', 'pselect6_time64'],
  _newselect: ['pselect6', 'pselect6_time64'],
  pselect6: ['select', '_newselect'],
  nanosleep: ['clock_nanosleep', 'clock_nanosleep_time64'],
  clock_nanosleep: ['nanosleep'],
  futex: ['futex_wait', 'futex_wake', 'futex_waitv', 'futex_requeue'],
  // Processes that share nothing but what fork(2) gives; limits, but only reading where reading was learned.
  fork: ['vfork'],
  vfork: ['fork'],
  getrlimit: [['prlimit64', equals(0, 0), { index: 2, op: '==', value: 0 }]],
  ugetrlimit: ['getrlimit', ['prlimit64', equals(0, 0), { index: 2, op: '==', value: 0 }]],
  setrlimit: [['prlimit64', equals(0, 0)]],
  prlimit64: ['getrlimit', 'setrlimit', 'ugetrlimit'],
  // Clocks: only those that a C library asks where the vDSO does not answer.
  clock_gettime: ['gettimeofday', 'time'],
  // 32-bit ABIs: wider users, groups, offsets and memory maps.
  mmap: ['mmap2'],
  mmap2: ['mmap'],
  fcntl: ['fcntl64'],
  fcntl64: ['fcntl'],
  lseek: ['_llseek'],
  _llseek: ['lseek'],
  sigaction: ['rt_sigaction'],
  rt_sigaction: ['sigaction'],
  sigprocmask: ['rt_sigprocmask'],
  rt_sigprocmask: ['sigprocmask'],
  waitpid: ['wait4'],
  wait4: ['waitpid'],
}

/** Calls of 32-bit ABIs whose names say that they take 64-bit times: each the other's stand-in. */
const TIME64 = [
  ...['clock_adjtime', 'clock_getres', 'clock_gettime', 'clock_nanosleep', 'clock_settime', 'futex', 'io_pgetevents'],
  ...['mq_timedreceive', 'mq_timedsend', 'ppoll', 'pselect6', 'recvmmsg', 'rt_sigtimedwait', 'sched_rr_get_interval'],
  ...['semtimedop', 'timer_gettime', 'timer_settime', 'timerfd_gettime', 'timerfd_settime', 'utimensat'],
]

/** clock_gettime64, but futex_time64: as asm/unistd.h names them. */
function time64Name(name: string): string {
  return /^(?:clock_(?:adj|get|set)time|timer_[gs]ettime|timerfd_[gs]ettime)$/.test(name)
    ? `${name}64`
    : `${name}_time64`
}

const TABLE: ReadonlyMap<string, readonly StandIn[]> = new Map([
  ...Object.entries(SIBLINGS),
  ...TIME64.flatMap((name): [string, readonly StandIn[]][] => [
    [name, [...(SIBLINGS[name] ?? []), time64Name(name)]],
    [time64Name(name), [name]],
  ]),
])

/** What may be made instead of a call. */
export function standInsOf(name: string): readonly StandIn[] {
  return TABLE.get(name) ?? []
}

/** The same, by name. */
export function siblingsOf(name: string): readonly string[] {
  return standInsOf(name).map((standIn) => (typeof standIn === 'string' ? standIn : standIn[0]))
}

/** The calls of the table, for tests and documents. */
export function siblingTable(): [name: string, siblings: readonly string[]][] {
  return [...TABLE.keys()].sort().map((name) => [name, siblingsOf(name)])
}

/**
 * The policy with the siblings of its learned calls. A call with certain arguments only gets none: they are about its own arguments.
 * What a policy gets depends on each call by itself, so that merging policies with siblings is the same as adding them to the merged one.
 */
export function withSiblings(policy: PolicyDocument, names: Pick<SyscallNames, 'numberOf'>): PolicyDocument {
  const architectures: PolicyDocument['architectures'] = {}
  for (const [architecture, { known, syscalls }] of architecturesOf(policy)) {
    const calls = new Map(
      syscalls.filter(({ via }) => via === undefined).map((call) => [call.name ?? call.number, call]),
    )
    const added = new Map<string, AllowedSyscall>()
    for (const call of syscalls) {
      const { name: via } = call
      if (via === undefined || call.via !== undefined || !isUnrestricted(call)) continue
      for (const standIn of TABLE.get(via) ?? []) {
        const [name, ...rule] = typeof standIn === 'string' ? [standIn] : standIn
        if (names.numberOf(architecture, name) === undefined) continue
        const own = { name, via, ...(rule.length === 0 ? {} : { rules: [rule] }) }
        const learned = calls.get(name)
        const other = added.get(name)
        if (learned !== undefined) calls.set(name, widened(learned, own))
        else added.set(name, other === undefined ? own : { ...widened(other, own), via: earlier(other.via, via) })
      }
    }
    // What people said of a sibling stays with it.
    for (const { name, comments } of syscalls.filter(({ via }) => via !== undefined)) {
      const own = added.get(name as string)
      if (own !== undefined && comments !== undefined) added.set(name as string, { ...own, comments })
    }
    architectures[architecture] = { known, syscalls: [...calls.values(), ...added.values()] }
  }
  return canonicalPolicy({ ...policy, architectures })
}

/** A call with what another one's stand-in may do. Only one that has argument rules can become wider. */
function widened(call: AllowedSyscall, { rules }: AllowedSyscall): AllowedSyscall {
  if (isUnrestricted(call)) return call
  const { rules: own = [], learned, ...plain } = call
  return rules === undefined
    ? plain
    : { ...plain, ...(learned === undefined ? {} : { learned }), rules: [...own, ...rules] }
}

function earlier(a: string | undefined, b: string): string {
  return a === undefined || b < a ? b : a
}

/** The policy without what only stands beside a learned call. */
export function withoutSiblings(policy: PolicyDocument): PolicyDocument {
  const architectures: PolicyDocument['architectures'] = {}
  for (const [architecture, { known, syscalls }] of architecturesOf(policy))
    architectures[architecture] = { known, syscalls: syscalls.filter(({ via }) => via === undefined) }
  return canonicalPolicy({ ...policy, architectures })
}
