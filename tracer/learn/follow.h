/* What the parts of the tracing loop share: follow.c waits, stops.c and calls.c answer, filtered.c puts filters in. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "learn/learn.h"

/* Let a task go on, to its next call's entry or exit or to the next stop that our filter makes. `task` may be NULL. */
void follow_resume(const struct learn *learn, const struct task *task, pid_t tid, int signal);

/* Find a task or begin to follow it; NULL if there is no memory, which is counted. */
struct task *follow_known(struct learn *learn, pid_t tid);
void follow_forget(struct learn *learn, pid_t tid);

/* Is the task still a tracee or a child of ours? (For tasks_keep().) */
bool follow_still_ours(pid_t tid, void *context);

/* At the PTRACE_EVENT_EXEC stop of the program. */
void stops_begin_recording(struct learn *learn);

/* Answer a syscall stop, a PTRACE_EVENT_SECCOMP stop (calls.c), any other stop (stops.c). */
void calls_on_syscall(struct learn *learn, pid_t tid);
void calls_on_seccomp(struct learn *learn, pid_t tid);
void stops_on_stop(struct learn *learn, const struct wait_report *report);

#endif
