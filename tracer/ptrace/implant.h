/* Putting seccomp programs into a process that is stopped, by system calls that it executes for us. */
#ifndef IMPLANT_H
#define IMPLANT_H

#include "filters/filters.h"
#include "ptrace/remote.h"

/* Stop a thread that may be anywhere where its registers may be borrowed: at PTRACE_EVENT_STOP. 0, or -1 with errno (EBUSY:
   somebody has stopped the process). */
int implant_stop(pid_t tid);

/* Install one program from `address`, where the tracee has implant_room() bytes to write to. flags: SECCOMP_FILTER_FLAG_*.
   NULL, or what went wrong, with errno in *error. */
const char *implant_at(struct remote *remote, uint64_t address, const struct filter *filter, unsigned flags, int *error);
size_t implant_room(const struct filter *filter);

/* The same for several, in order, from memory that the tracee maps for it. EACCES in *error: the process has neither CAP_SYS_ADMIN
   nor NO_NEW_PRIVS, and nothing was changed. */
const char *implant(struct remote *remote, const struct filter *filters, int count, unsigned flags, int *error);

#endif
