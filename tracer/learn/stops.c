/* Stops that are no system calls: signals, new tasks, new programs, group-stops. */
#include "base/kernel.h"
#include "base/procfs.h"
#include "learn/filtered.h"
#include "learn/follow.h"

#include <signal.h>

void stops_begin_recording(struct learn *learn) {
  /* Before, threads only were followed, or more, but not recorded: what the runtime forks (hooks) is not the container's
     program. */
  filtered_begin(learn, tasks_find(&learn->tasks, learn->init));
  learn->recording = true;
  learn->born = 1;
  if (!procfs_exe(learn->init, learn->exe, sizeof learn->exe)) learn->exe[0] = 0;
  learn_line_exec(learn);
  paths_executed(&learn->paths, NULL, learn->init);
  digest_start(&learn->digest, learn->init);
}

/* When a thread other than the leader executes a program, it takes the leader's id over, and its own vanishes without
   a report of its end. The leader's place in the table then belongs to it. */
static struct task *take_over(struct learn *learn, pid_t former, pid_t tid) {
  struct task *thread = tasks_find(&learn->tasks, former);
  struct task heritage = thread ? *thread : (struct task){0};
  heritage.unsure = false; /* of its own filter it can be sure */
  follow_forget(learn, former);
  follow_forget(learn, tid); /* what the old leader was in the middle of is void */
  struct task *task = tasks_add(&learn->tasks, tid);
  if (task) filtered_inherit(&heritage, task);
  else learn->lost_tasks++;
  return task;
}

static void on_exec(struct learn *learn, pid_t tid) {
  unsigned long former = 0;
  struct task *task = tasks_find(&learn->tasks, tid);
  ptrace(PTRACE_GETEVENTMSG, tid, NULL, &former);
  bool own = learn->recording && !(task && task->foreign);
  if (own) paths_executed(&learn->paths, tasks_find(&learn->tasks, former ? (pid_t)former : tid), tid);
  if (former != 0 && (pid_t)former != tid) task = take_over(learn, (pid_t)former, tid);
  else if (task) events_executed(task);
  if (tid == learn->init && !learn->recording && !learn->finished) stops_begin_recording(learn);
  follow_resume(learn, task, tid, 0);
}

/* The new task may have been reported before its birth is, and may even have ended: then it was counted, and must not
   get a place in the table again, which nothing would ever take away. */
static void on_birth(struct learn *learn, pid_t tid) {
  unsigned long id = 0;
  struct task *parent = follow_known(learn, tid);
  if (parent) parent->born = true;
  if (ptrace(PTRACE_GETEVENTMSG, tid, NULL, &id) == 0 && id != 0 && follow_still_ours((pid_t)id, NULL)) {
    struct task *child = follow_known(learn, (pid_t)id);
    parent = tasks_find(&learn->tasks, tid); /* the table may have moved */
    if (parent && child) filtered_inherit(parent, child);
    if (child && child->foreign && learn->recording) learn->born--;
  }
  follow_resume(learn, tasks_find(&learn->tasks, tid), tid, 0);
}

/* Untraced, the first process of a pid namespace does not notice a SIGSTOP that comes from inside. Traced it gets all
   signals delivered (sig_ignored() in kernel/signal.c), and SIGSTOP, unlike others, is not sorted out again afterwards
   (get_signal()). The kernel sets si_pid to 0 when the sender is outside of the receiver's namespace. */
static bool stop_from_inside(pid_t tid) {
  siginfo_t info;
  if (ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) != 0) return false;
  if (info.si_code == SI_KERNEL || info.si_pid == 0) return false;
  pid_t process = (pid_t)procfs_status_number(tid, "Tgid");
  return process != 1 && procfs_status_number(process, "NSpid") == 1;
}

/* A new task, or one that was interrupted, or a group-stop. */
static void on_event_stop(struct learn *learn, const struct wait_report *report) {
  pid_t tid = report->tid;
  struct task *task = tasks_find(&learn->tasks, tid);
  /* Before the program starts a task of another process is none of ours (clone() with an exit signal of its own), unless it
     has our filter. */
  if (!learn->recording && !learn->filtered.early && procfs_status_number(tid, "Tgid") != learn->init) {
    follow_forget(learn, tid);
    ptrace(PTRACE_DETACH, tid, NULL, 0);
    return;
  }
  if (!task) task = follow_known(learn, tid);
  if (wait_is_group_stop(report)) ptrace(PTRACE_LISTEN, tid, NULL, 0);
  else follow_resume(learn, task, tid, 0);
}

void stops_on_stop(struct learn *learn, const struct wait_report *report) {
  pid_t tid = report->tid;
  struct task *task = tasks_find(&learn->tasks, tid);
  if (task) task->inside = false;
  switch (report->event) {
    case 0: {
      int number = report->signal;
      if (number == SIGSTOP && stop_from_inside(tid)) number = 0;
      follow_resume(learn, task, tid, number);
      return;
    }
    case PTRACE_EVENT_EXEC:
      on_exec(learn, tid);
      return;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
      on_birth(learn, tid);
      return;
    case PTRACE_EVENT_STOP:
      on_event_stop(learn, report);
      return;
    default:
      follow_resume(learn, task, tid, 0);
  }
}
