/** Which part of the kernel a call goes to, roughly: for figures of how much of it a policy leaves open. */

/** The first line that fits decides. */
const SUBSYSTEMS: readonly (readonly [subsystem: string, calls: RegExp])[] = [
  ['io_uring and AIO', /^io_(?!perm|pl)/],
  [
    'tracing and BPF',
    /^(?:bpf|perf_event_open|ptrace|kcmp|process_vm_|process_madvise|process_mrelease|lookup_dcookie|uprobe|uretprobe|syslog)/,
  ],
  [
    'modules and power',
    /^(?:.*_module$|create_module|get_kernel_syms|kexec_|reboot|swapo|acct$|ioperm|iopl|bdflush|nfsservctl|vm86|uselib)/,
  ],
  [
    'mounts',
    /^(?:mount|umount|pivot_root|chroot|fsopen|fsconfig|fsmount|fspick|move_mount|open_tree|statmount|listmount|quotactl|sysfs)/,
  ],
  ['namespaces', /^(?:unshare|setns|sethostname|setdomainname|listns)$/],
  [
    'security',
    /^(?:seccomp|landlock_|lsm_|keyctl|add_key|request_key|prctl|arch_prctl|personality|cap[gs]et|map_shadow_stack)/,
  ],
  [
    'users and groups',
    /^(?:[gs]etr?e?s?[ug]id|[gs]ete[ug]id|[gs]etre[ug]id|[gs]etres[ug]id|setfs[ug]id|[gs]etgroups)(?:32)?$/,
  ],
  ['network', /^(?:socket|bind|connect|listen|accept|getsock|getpeer|setsock|send(?!file)|recv|shutdown)/],
  [
    'files',
    /^(?:open|creat|close|fcntl|flock|link|unlink|symlink|readlink|rename|mkdir|rmdir|mknod|chmod|fchmod|chown|fchown|lchown|access|faccess|stat|fstat|lstat|newfstat|oldstat|oldlstat|oldfstat|statx|statfs|ustat|getdents|readdir|getcwd|chdir|fchdir|truncate|ftruncate|utime|futime|.*xattr|inotify|fanotify|fallocate|fadvise|arm_fadvise|arm_sync|sync|fsync|fdatasync|name_to_handle|open_by_handle|umask|cachestat|file_[gs]etattr|readahead|remap_file)/,
  ],
  [
    'reading and writing',
    /^(?:read|write|pread|pwrite|lseek|_llseek|sendfile|splice|tee|vmsplice|copy_file|ioctl|dup|pipe|eventfd|signalfd|timerfd|poll|ppoll|select|_newselect|pselect|epoll)/,
  ],
  [
    'memory',
    /^(?:mmap|mmap2|munmap|mremap|mprotect|brk|madvise|msync|mincore|mlock|munlock|mseal|memfd|mbind|migrate_pages|move_pages|[gs]et_mempolicy|pkey_|userfaultfd|membarrier|cacheflush|set_tls|modify_ldt|[gs]et_thread_area)/,
  ],
  [
    'processes',
    /^(?:clone|fork|vfork|exec|exit|wait|kill|tkill|tgkill|pidfd_|[gs]etpgid|getpgrp|[gs]etsid|getpid|getppid|gettid|set_tid|[gs]et_robust|rseq|sched_|[gs]etpriority|nice|[gs]etrlimit|ugetrlimit|prlimit|getrusage|times|ioprio|getcpu|futex|restart_syscall|pause|vhangup|idle)/,
  ],
  ['signals', /^(?:rt_sig|sig|ssetmask|sgetmask)/],
  ['time', /^(?:clock_|time|stime|gettimeofday|settimeofday|adjtimex|nanosleep|alarm|[gs]etitimer|timer_|ftime)/],
  ['System V and POSIX IPC', /^(?:ipc$|shm|sem|msg|mq_)/],
]

export const OTHER = 'other'

export function subsystemOf(call: string): string {
  return SUBSYSTEMS.find(([, calls]) => calls.test(call))?.[0] ?? OTHER
}

/** Of the calls of an architecture, how many are allowed: by subsystem, in the order of the table. */
export function bySubsystem(
  all: Iterable<string>,
  allowed: ReadonlySet<string>,
): { readonly subsystem: string; readonly allowed: number; readonly all: number }[] {
  const counts = new Map([...SUBSYSTEMS.map(([name]) => name), OTHER].map((name) => [name, { allowed: 0, all: 0 }]))
  for (const call of all) {
    const count = counts.get(subsystemOf(call)) as { allowed: number; all: number }
    count.all++
    if (allowed.has(call)) count.allowed++
  }
  return [...counts].filter(([, { all }]) => all > 0).map(([subsystem, count]) => ({ subsystem, ...count }))
}
