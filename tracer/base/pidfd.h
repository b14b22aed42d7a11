/* A process's end, seen by somebody who is neither its parent nor its tracer: pidfd_open(2). */
#ifndef PIDFD_H
#define PIDFD_H

#include <stdbool.h>
#include <sys/types.h>

/* -1 with errno. The descriptor becomes readable when the process has ended. */
int pidfd_of(pid_t pid);

/* The wait status of a process that has ended, reaped or not. False: the kernel does not say (before Linux 6.15 nobody can
   know it once its parent has reaped it). */
bool pidfd_exit_status(int pidfd, pid_t pid, int *status);

#endif
