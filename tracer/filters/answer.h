/* What seccomp programs answer to a call, found by running them here. */
#ifndef ANSWER_H
#define ANSWER_H

#include "filters/filters.h"

/* SECCOMP_RET_*, without data, of a program that the kernel has accepted. */
uint32_t answer_of(const struct sock_filter *program, int length, const struct seccomp_data *call);

/* Does some call pass all programs of the stopped tracee which `filters` refuse? Every number of every ABI is tried, each with some
   arguments. On true the call is in *arch and *nr. A program that cannot be read, or none, counts as one that lets all pass. */
bool answer_wider(pid_t tid, const struct filter *filters, int count, uint32_t *arch, uint32_t *nr);

#endif
