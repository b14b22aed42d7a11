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
  io_uring_register: [value(1, 'opcode')],
  ipc: [value(0, 'call')],
  keyctl: [value(0, 'operation')],
  kill: [value(1, 'sig')],
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
  perf_event_open: [flags(4, 'flags')],
  personality: [value(0, 'persona')],
  pkey_mprotect: [flags(2, 'prot')],
  prctl: [value(0, 'op')],
  prlimit64: [value(1, 'resource')],
  ptrace: [value(0, 'op')],
  quotactl: [value(0, 'op')],
  reboot: [value(2, 'op')],
  rt_sigqueueinfo: [value(1, 'sig')],
  rt_tgsigqueueinfo: [value(2, 'sig')],
  sched_setscheduler: [value(1, 'policy')],
  seccomp: [value(0, 'operation'), flags(1, 'flags')],
  semctl: [value(2, 'op')],
  setns: [flags(1, 'nstype')],
  setrlimit: [value(0, 'resource')],
  setsockopt: [value(1, 'level'), value(2, 'optname')],
  shmctl: [value(1, 'op')],
  socket: [value(0, 'domain'), value(1, 'type', CLOEXEC_NONBLOCK), value(2, 'protocol')],
  socketcall: [value(0, 'call')],
  socketpair: [value(0, 'domain'), value(1, 'type', CLOEXEC_NONBLOCK), value(2, 'protocol')],
  syslog: [value(0, 'type')],
  tgkill: [value(2, 'sig')],
  tkill: [value(1, 'sig')],
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
