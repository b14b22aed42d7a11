/* System calls executed by a stopped tracee on our behalf. */
#ifndef REMOTE_H
#define REMOTE_H

#include "arch/arch.h"

struct remote {
  pid_t tid;
  bool compat;
  struct arch_registers saved;
  uint64_t instruction; /* address of a system call instruction in the tracee */
  bool poked;           /* it was written there by us, over `poked_word` */
  long poked_word;
  uint64_t signal_mask;
  bool stop_pending; /* a SIGSTOP arrived meanwhile */
  bool group_stop;   /* a group-stop was passed over: PTRACE_INTERRUPT brings the tracee back to it */
};

/* The tracee must be in a stop from which it goes on to user mode with the registers that we set: a syscall-exit stop
   or PTRACE_EVENT_STOP; never PTRACE_EVENT_EXEC, where the kernel still overwrites the result register.
   All of them return 0, or -1 with errno. After a failed remote_call() the tracee may be in the middle of it, or dead; its
   end is then left for another wait. */
int remote_begin(struct remote *remote, pid_t tid);
int remote_call(struct remote *remote, enum arch_remote_call call, const uint64_t arguments[6], int64_t *result);
int remote_write(const struct remote *remote, uint64_t address, const void *data, size_t length);

/* Restore the tracee. interrupted: it was in PTRACE_EVENT_STOP, perhaps within a system call that must be restarted;
   it is in PTRACE_EVENT_STOP afterwards. */
int remote_end(struct remote *remote, bool interrupted);

#endif
