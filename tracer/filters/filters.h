/* seccomp programs: from a file, to the kernel for a check, and back from a process. */
#ifndef FILTERS_H
#define FILTERS_H

#include "base/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { FILTERS_MAX = 16 };

struct filter {
  const char *path;
  struct sock_filter *instructions;
  unsigned short length; /* at most BPF_MAXINSNS, <linux/bpf_common.h> */
};

/* Read a program. On failure a message has been printed. */
bool filter_load(struct filter *filter, const char *path);

/* Let the kernel check the programs, without installing them. On failure a message has been printed. */
bool filters_check(const struct filter *filters, int count);

/* The number of programs in a stopped tracee; -1 with errno (EACCES: CAP_SYS_ADMIN or no filter of our own is needed). */
int filters_installed(pid_t tid);

/* Read program `index` (0 is the oldest) of a stopped tracee into `program` (BPF_MAXINSNS places). Returns its length,
   or -1. `logged` tells SECCOMP_FILTER_FLAG_LOG. */
int filter_read(pid_t tid, int index, struct sock_filter *program, bool *logged);

/* Are these programs, in this order and with nothing but `before` older ones below them, in the stopped tracee? */
bool filters_match(pid_t tid, int before, const struct filter *filters, int count, bool log);

#endif
