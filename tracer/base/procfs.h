/* What /proc says about a process; pid 0 is this one, also where /proc is that of another pid namespace. Used at set-up and in rare events only, never at a syscall stop. */
#ifndef PROCFS_H
#define PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The last number on line "NAME:" of /proc/PID/status ("NSpid" has several, the innermost namespace last). -1: none. */
int64_t procfs_status_number(pid_t pid, const char *name);

/* Is the capability (CAP_*, <linux/capability.h>) in effect in the process, for its own user namespace? */
bool procfs_capable(pid_t pid, unsigned capability);

/* The state letter of a thread (R, S, D, T, t, Z, X), or 0 if it is gone. */
char procfs_state(pid_t tid);

/* Field 22 of /proc/self/stat: when this process started, in clock ticks since boot. 0: unknown. */
uint64_t procfs_own_start(void);

/* Read a whole small file, NUL-terminated, without the newline at its end. Returns the length or -1. */
ssize_t procfs_read(const char *path, char *buffer, size_t size);

/* The value of an entry of the auxiliary vector (AT_* of <elf.h>); 0: none. */
uint64_t procfs_auxv(pid_t pid, uint64_t type, bool compat);

/* Where /proc/PID/exe leads. Returns false if it cannot be read. */
bool procfs_exe(pid_t pid, char *buffer, size_t size);

#endif
