/**
 * The arguments that matter for a policy: which of a call's six the tracer records (io.sandbox.detail=args), and how what was seen of them
 * may be widened. Never pointers, descriptors, lengths or addresses: those differ from run to run, and a filter cannot look behind a pointer.
 */

/**
 * `value`: one of a set, such as a socket domain or the command of an ioctl. `flags`: bits that are set independently of each other.
 */
export interface Argument {
  readonly index: 0 | 1 | 2 | 3 | 4 | 5
  readonly kind: 'value' | 'flags'
  readonly name: string
  /** Bits that give no power, and that libc versions differ in: only `strict` looks at them. */
  readonly harmless?: number
  /** Of a value: where neighbours mean more or less of the same, or one of many alike. Sorted; values outside stand for themselves. */
  readonly ranges?: readonly ValueRange[]
}

/** From the one to the other, both included, as the kernel compares them: as int. */
export interface ValueRange {
  readonly from: number
  readonly to: number
  /** Its values give less power towards its end; absent: all give the same. */
  readonly falling?: true
}

/**
 * The part of every argument below that the kernel looks at: all are int or unsigned int, or an unsigned long that has no flag above bit 31.
 * A register may hold anything above (int arguments come sign-extended or not, as the compiler pleased), so neither the record nor
 * a filter may look there: it would refuse the same call made by another compiler.
 */
export const ARGUMENT_MASK = 0xffff_ffff

/** SOCK_CLOEXEC and SOCK_NONBLOCK of <linux/net.h>, which are O_CLOEXEC and O_NONBLOCK of <asm-generic/fcntl.h>. */
const CLOEXEC_NONBLOCK = 0o2004000

const value = (index: Argument['index'], name: string, harmless?: number): Argument => ({
  index,
  kind: 'value',
  name,
  ...(harmless === undefined ? {} : { harmless }),
})
const flags = (index: Argument['index'], name: string, harmless?: number): Argument => ({
  ...value(index, name, harmless),
  kind: 'flags',
})

const ranges = (index: Argument['index'], name: string, ...ranges: readonly ValueRange[]): Argument => ({
  ...value(index, name),
  ranges,
})

/**
 * Real-time signals (signal(7)): SIGRTMIN to SIGRTMAX of <asm-generic/signal.h>, which x86 and ARM share. C libraries hand them out by
 * distance, and none means anything to the kernel. The signals below them have each a meaning of its own.
 */
const signal = (index: Argument['index']): Argument => ranges(index, 'sig', { from: 32, to: 64 })

/** A nice value, or a step between two (setpriority(2), nice(2)): the kernel cuts off what is beyond -20 and 19; a higher one yields to others. */
const NICE: ValueRange = { from: -0x8000_0000, to: 0x7fff_ffff, falling: true }

/**
 * ioprio_set(2), <linux/ioprio.h>: a class in bits 13 to 15, and in it a level from 0 to 7 (IOPRIO_NR_LEVELS), of which the higher ones get less. Real
 * time, best effort, and idle, where the level says nothing.
 */
const IO_LEVELS: readonly ValueRange[] = [
  { from: 0x2000, to: 0x2007, falling: true },
  { from: 0x4000, to: 0x4007, falling: true },
  { from: 0x6000, to: 0x6007 },
]

/** By syscall name, from the manual pages of section 2. */
export const ARGUMENTS: Readonly<Record<string, readonly Argument[]>> = {
  arch_prctl: [value(0, 'op')],
  bpf: [value(0, 'cmd')],
  clone: [flags(0, 'flags')],
  epoll_ctl: [value(1, 'op')],
  fcntl: [value(1, 'op')],
  fcntl64: [value(1, 'op')],
  fsconfig: [value(1, 'cmd')],
  futex: [value(1, 'futex_op')],
  futex_time64: [value(1, 'futex_op')],
  getsockopt: [value(1, 'level'), value(2, 'optname')],
  ioctl: [value(1, 'op')],
  ioprio_set: [value(0, 'which'), ranges(2, 'ioprio', ...IO_LEVELS)],
  io_uring_register: [value(1, 'opcode')],
  ipc: [value(0, 'call')],
  keyctl: [value(0, 'operation')],
  kill: [signal(1)],
  madvise: [value(2, 'advice')],
  memfd_create: [flags(1, 'flags')],
  mmap: [flags(2, 'prot')],
  mmap2: [flags(2, 'prot')],
  mount: [flags(3, 'mountflags')],
  mprotect: [flags(2, 'prot')],
  msgctl: [value(1, 'op')],
  open: [flags(1, 'flags', CLOEXEC_NONBLOCK)],
  open_by_handle_at: [flags(2, 'flags', CLOEXEC_NONBLOCK)],
  open_tree: [flags(2, 'flags')],
  openat: [flags(2, 'flags', CLOEXEC_NONBLOCK)],
  nice: [ranges(0, 'inc', NICE)],
  perf_event_open: [flags(4, 'flags')],
  personality: [value(0, 'persona')],
  pidfd_send_signal: [signal(1)],
  pkey_mprotect: [flags(2, 'prot')],
  prctl: [value(0, 'op')],
  prlimit64: [value(1, 'resource')],
  ptrace: [value(0, 'op')],
  quotactl: [value(0, 'op')],
  reboot: [value(2, 'op')],
  rt_sigqueueinfo: [signal(1)],
  rt_tgsigqueueinfo: [signal(2)],
  sched_setscheduler: [value(1, 'policy')],
  seccomp: [value(0, 'operation'), flags(1, 'flags')],
  semctl: [value(2, 'op')],
  setns: [flags(1, 'nstype')],
  setpriority: [value(0, 'which'), ranges(2, 'prio', NICE)],
  setrlimit: [value(0, 'resource')],
  setsockopt: [value(1, 'level'), value(2, 'optname')],
  shmctl: [value(1, 'op')],
  socket: [value(0, 'domain'), value(1, 'type', CLOEXEC_NONBLOCK), value(2, 'protocol')],
  socketcall: [value(0, 'call')],
  socketpair: [value(0, 'domain'), value(1, 'type', CLOEXEC_NONBLOCK), value(2, 'protocol')],
  syslog: [value(0, 'type')],
  tgkill: [signal(2)],
  tkill: [signal(1)],
  umount2: [flags(1, 'flags')],
  unshare: [flags(0, 'flags')],
  userfaultfd: [flags(0, 'flags', CLOEXEC_NONBLOCK)],
}

/** The calls of 32-bit x86 that take a pointer to their arguments where other architectures take them in registers (mmap(2), NOTES). */
const POINTED: ReadonlySet<string> = new Set(['mmap'])

/** What is recorded of a call's arguments; none: it is allowed with any. */
export function argumentsOf(architecture: string, syscall: string): readonly Argument[] {
  return architecture === 'x86' && POINTED.has(syscall) ? [] : (ARGUMENTS[syscall] ?? [])
}
