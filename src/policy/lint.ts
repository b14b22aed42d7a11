/** What is dangerous to allow, and what looks too narrow to work. Pure. */
import type { AllowedSyscall, Comparison, PolicyDocument } from '../generated/policy.ts'
import { architecturesOf } from './document.ts'
import { satisfies } from './rules.ts'
import { startProblems } from './startable.ts'
import { policyStatus } from './status.ts'
import { syscallKey } from './syscalls.ts'
import { decodeUint64 } from './uint64.ts'
import { widenPolicy } from './widen.ts'

export interface Finding {
  readonly kind: 'dangerous' | 'narrow'
  readonly call?: string
  readonly reason: string
  /** What people say about the call. */
  readonly comments?: readonly string[]
}

/** CLONE_NEWUSER, linux/sched.h. */
const CLONE_NEWUSER = 0x1000_0000n
/** TIOCSTI, asm-generic/ioctls.h: puts characters into a terminal's input. */
const TIOCSTI = 0x5412n
/** Address families of linux/socket.h: AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK, AF_XDP. */
const FAMILIES = { 16: 'AF_NETLINK', 17: 'AF_PACKET', 38: 'AF_ALG', 40: 'AF_VSOCK', 44: 'AF_XDP' } as const

const MODULES = 'loads code into the kernel, or takes it out'
const KEXEC = 'starts another kernel'
const PROCESS_MEMORY = "reads or writes another process's memory"
const MOUNTS = 'changes what files there are, up to getting out of the container with enough capabilities'
const IO_URING = 'makes calls from the kernel that no filter sees, and has had many exploited defects'
const HANDLES = 'opens files by handle, past the directories that hide them; got processes out of containers'
const USER_NAMESPACE = 'makes a user namespace, in which the program is root towards much of the kernel'
const PORTS = 'talks to devices directly'
const SWAP = "changes the machine's swap"
const CLOCK = "sets the machine's clock"
const OLD = 'is obsolete and hardly looked after'

/** By call; a function says for which arguments. */
const DANGEROUS: Readonly<Record<string, string | ((call: AllowedSyscall) => string | undefined)>> = {
  acct: 'writes a record of every process of the machine',
  add_key: 'puts keys into the kernel; keyrings are not in namespaces',
  bpf: "loads programs into the kernel and reads the kernel's memory",
  chroot: 'with the capability for it, a known way out of a directory tree',
  clock_adjtime: CLOCK,
  clock_settime: CLOCK,
  clone: (call) => (mayHaveBits(call, 0, CLONE_NEWUSER) ? USER_NAMESPACE : undefined),
  clone3: `${USER_NAMESPACE}; a filter cannot look at its flags`,
  create_module: MODULES,
  delete_module: MODULES,
  fanotify_init: 'watches the files of the whole machine',
  finit_module: MODULES,
  fsconfig: MOUNTS,
  fsmount: MOUNTS,
  fsopen: MOUNTS,
  init_module: MODULES,
  io_uring_enter: IO_URING,
  io_uring_register: IO_URING,
  io_uring_setup: IO_URING,
  ioctl: (call) =>
    mayEqual(call, 1, TIOCSTI)
      ? 'with any command it can also type into a terminal (TIOCSTI) and talk to every driver'
      : undefined,
  ioperm: PORTS,
  iopl: PORTS,
  kcmp: "compares other processes' kernel pointers",
  kexec_file_load: KEXEC,
  kexec_load: KEXEC,
  keyctl: 'changes keys of the kernel; keyrings are not in namespaces, and have had many exploited defects',
  lookup_dcookie: OLD,
  modify_ldt: 'sets up 16-bit segments, through which defects of the kernel were exploited',
  mount: MOUNTS,
  mount_setattr: MOUNTS,
  move_mount: MOUNTS,
  move_pages: "moves other processes' memory",
  name_to_handle_at: HANDLES,
  open_by_handle_at: HANDLES,
  open_tree: MOUNTS,
  perf_event_open: 'measures the kernel and other programs; large, with many exploited defects',
  personality: (call) => (call.rules === undefined ? 'with any value it turns off address randomisation' : undefined),
  pidfd_getfd: "takes other processes' open files",
  pivot_root: MOUNTS,
  process_madvise: "acts on another process's memory",
  process_vm_readv: PROCESS_MEMORY,
  process_vm_writev: PROCESS_MEMORY,
  ptrace: 'controls other processes, and on kernels before 4.8 gets around seccomp',
  quotactl: 'changes quotas of file systems',
  reboot: 'ends the machine',
  request_key: 'lets the kernel start a helper on the host to get a key',
  setdomainname: 'renames the host, or the container',
  sethostname: 'renames the host, or the container',
  setns: 'enters other namespaces',
  settimeofday: CLOCK,
  socket: (call) => {
    const open = Object.entries(FAMILIES).filter(([family]) => mayEqual(call, 0, BigInt(family)))
    if (open.length === 0) return undefined
    return `opens sockets of families with many exploited defects: ${open.map(([, name]) => name).join(', ')}`
  },
  stime: CLOCK,
  swapoff: SWAP,
  swapon: SWAP,
  syslog: "reads the kernel's log, with addresses that help exploits",
  umount: MOUNTS,
  umount2: MOUNTS,
  unshare: (call) => (mayHaveBits(call, 0, CLONE_NEWUSER) ? USER_NAMESPACE : undefined),
  uselib: OLD,
  userfaultfd: 'stops the kernel in the middle of a copy, which makes races easy to win',
  vm86: OLD,
  vm86old: OLD,
  vmsplice: 'gives pages to pipes; had exploited defects',
}

/** Whether a rule, or no rule, lets an argument be this value. Only the lower 32 bits count: the arguments here are int. */
function mayEqual({ rules }: AllowedSyscall, index: number, value: bigint): boolean {
  return (
    rules === undefined || rules.some((rule) => rule.every((one) => one.index !== index || admits(one, value, value)))
  )
}

/** Whether a rule, or no rule, lets an argument have these bits. */
function mayHaveBits({ rules }: AllowedSyscall, index: number, bits: bigint): boolean {
  return (
    rules === undefined ||
    rules.some((rule) => rule.every((one) => one.index !== index || admits(one, bits, undefined)))
  )
}

function admits(comparison: Comparison, bits: bigint, exact: bigint | undefined): boolean {
  const { op, value, to, mask } = comparison
  const operand = decodeUint64(value)
  switch (op) {
    case '==':
      return exact === undefined ? (operand & bits) === bits : operand === exact
    case 'masked==': {
      const masked = bits & decodeUint64(mask ?? 0)
      return exact === undefined ? (operand & masked) === masked : masked === operand
    }
    case '!=':
      return exact === undefined || operand !== exact
    case '<':
      return bits < operand
    case '<=':
      return bits <= operand
    case '>':
      return exact === undefined || exact > operand
    case '>=':
      return exact === undefined || exact >= operand
    case 'range':
      return exact === undefined
        ? (mask === undefined ? bits : bits & decodeUint64(mask)) <= decodeUint64(to ?? value)
        : satisfies(comparison, exact)
  }
}

/** Dangers first, each by name. */
export function lintPolicy(policy: PolicyDocument): Finding[] {
  return [...dangers(policy), ...narrowness(policy)]
}

function* dangers(policy: PolicyDocument): Generator<Finding> {
  for (const [architecture, { syscalls }] of architecturesOf(widenPolicy(policy))) {
    for (const call of syscalls) {
      const name = syscallKey(call)
      const entry = Object.hasOwn(DANGEROUS, name) ? DANGEROUS[name] : undefined
      const reason = typeof entry === 'function' ? entry(call) : entry
      const allowed = call.reasons === undefined ? '' : ` (allowed, because: ${call.reasons.join('; ')})`
      const comments = call.comments === undefined ? {} : { comments: call.comments }
      if (reason !== undefined)
        yield { kind: 'dangerous', call: `${name} (${architecture})`, reason: reason + allowed, ...comments }
      if (call.name === undefined)
        yield {
          kind: 'dangerous',
          call: `${name} (${architecture})`,
          reason: 'has no name here: nobody can say what it does',
          ...comments,
        }
    }
  }
}

function* narrowness(policy: PolicyDocument): Generator<Finding> {
  for (const problem of startProblems(policy)) yield { kind: 'narrow', reason: problem }
  if (!policy.complete) yield { kind: 'narrow', reason: 'no run was seen from its first call to its end' }
  const { convergence, siblings, learned } = policyStatus(policy)
  if (convergence.chance !== undefined && convergence.chance > 0.2)
    yield {
      kind: 'narrow',
      reason: `the next run makes a new call with a chance of about ${Math.round(convergence.chance * 100)} %: learn more runs`,
    }
  if (siblings === 0 && learned > 10)
    yield {
      kind: 'narrow',
      reason:
        'it has no siblings: another version of the C library may choose calls that are not here (policy siblings --add)',
    }
}
