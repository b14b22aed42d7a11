/**
 * What runtimes call between loading linux.seccomp from config.json and the program's first instruction, so what a profile needs besides
 * the program's own calls. Measured on runc 1.1.5 and 1.3.0 and crun 1.8.1, with noNewPrivileges true and false
 * (docs/runtime-calls.md). A filter that the enforce hook installs needs none of these.
 */
export const RUNTIME_CALLS: readonly string[] = [
  'capget',
  'capset',
  'chdir',
  'close',
  'close_range',
  'epoll_ctl',
  'execve',
  'faccessat2',
  'fchown',
  'fcntl',
  'fstat',
  'fstatfs',
  'futex',
  'getcwd',
  'getdents64',
  'getpid',
  'getppid',
  'newfstatat',
  'openat',
  'prctl',
  'pselect6',
  'read',
  'rt_sigaction',
  'rt_sigprocmask',
  'rt_sigreturn',
  'setgid',
  'setgroups',
  'setresgid',
  'setresuid',
  'setuid',
  'tgkill',
  'write',
]
