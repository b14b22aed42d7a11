/* Waiting for tracees. */
#ifndef WAIT_H
#define WAIT_H

#include <stdbool.h>
#include <sys/types.h>

/* What a wait reported, decoded. */
struct wait_report {
  pid_t tid;
  enum { WAIT_STOPPED, WAIT_EXITED, WAIT_SIGNALED } kind;
  int signal; /* of a stop, without the event; or that ended the task */
  int event;  /* PTRACE_EVENT_*, 0: none */
  int code;   /* exit code */
};

/* The report that wait(2) would give for this status. */
struct wait_report wait_decode(pid_t tid, int status);

/* Look at the next report of any child or tracee and leave it there: a stop goes away when the tracee is resumed, an end
   when it is reaped with wait_reap(). False with errno ECHILD (none left) or EINTR. */
bool wait_peek(struct wait_report *report);

/* The same without waiting. False: nothing to report now. */
bool wait_peek_now(struct wait_report *report);

/* The same for one task, without waiting. False: nothing to report, or not ours. */
bool wait_peek_task(pid_t tid, struct wait_report *report);

/* Reap a task whose end wait_peek() has shown. */
void wait_reap(pid_t tid);

/* Take the next report, of `tid` or of any task (-1). False with errno ECHILD, or ETIMEDOUT after wait_deadline(). */
bool wait_take(pid_t tid, struct wait_report *report);

/* Wait for the next report of one task and leave it there, as wait_peek() does. */
bool wait_look(pid_t tid, struct wait_report *report);

/* From now on wait_take() and wait_look() give up after this many seconds; 0 lifts the deadline. */
void wait_deadline(unsigned seconds);

/* Is it a group-stop (and not the stop of a new or an interrupted tracee)? Such a tracee must be put into
   PTRACE_LISTEN: resumed with anything else it would run on although SIGSTOP was sent to it. */
bool wait_is_group_stop(const struct wait_report *report);

/* The signal to hand on when a tracee is resumed from this stop: its own at a signal-delivery stop, otherwise none. */
int wait_pending_signal(const struct wait_report *report);

/* Resume a stopped tracee, without further stops at system calls, as it would have gone on by itself. */
void wait_go_on(const struct wait_report *report);

#endif
