/* The tracing loop: which stop gets which answer. See ptrace(2), "Stopped states" and "Attaching and detaching". */
#include "base/kernel.h"
#include "learn/filtered.h"
#include "learn/follow.h"

#include <errno.h>
#include <linux/sched/types.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIGEST_PATIENCE = 10000 /* ms that the container's end may be held up by the digest of a huge program */ };

static volatile sig_atomic_t terminated;

/* The signal can come between a look at the flag and the wait, which would then sleep on: the timer repeats it. */
static void on_terminate(int number) {
  if (number == SIGTERM) {
    static const struct itimerval often = {{0, 10000}, {0, 10000}};
    setitimer(ITIMER_REAL, &often, NULL);
  }
  terminated = 1;
}

static void catch_termination(void) {
  struct sigaction action = {.sa_handler = on_terminate};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGALRM, &action, NULL);
}

/* ESRCH means that the task was killed meanwhile: its end is reported later. */
void follow_resume(const struct learn *learn, const struct task *task, pid_t tid, int number) {
  /* A task whose call must be seen to its end may be unfiltered or not: it stops at the exit. */
  bool free = !learn->recording || (task && (task->foreign || (task->filtered && !task->inside && !task->cloning)));
  ptrace(free ? PTRACE_CONT : PTRACE_SYSCALL, tid, NULL, number);
}

struct task *follow_known(struct learn *learn, pid_t tid) {
  struct task *task = tasks_find(&learn->tasks, tid);
  if (task) return task;
  task = tasks_add(&learn->tasks, tid);
  if (task) learn->born++;
  else learn->lost_tasks++;
  return task;
}

void follow_forget(struct learn *learn, pid_t tid) {
  struct task *task = tasks_find(&learn->tasks, tid);
  if (!task) return;
  if (task->cloning) learn->cloning--;
  tasks_remove(&learn->tasks, tid);
}

bool follow_still_ours(pid_t tid, void *context) {
  (void)context;
  siginfo_t info; /* ECHILD: neither a tracee nor a child */
  return waitid(P_PID, (id_t)tid, &info, WEXITED | WSTOPPED | WNOWAIT | WNOHANG | __WALL) == 0;
}

/* The last line. What goes on after it is not recorded. */
static void finish(struct learn *learn, const char *reason, int patience) {
  char sha256[SHA256_HEX_SIZE];
  if (digest_take(&learn->digest, patience, sha256)) learn_line_program(learn, sha256);
  combinations_finish(&learn->combinations, &learn->stream);
  if (learn->events.wanted) events_finish(&learn->events, &learn->stream);
  if (learn->paths.wanted) facts_finish(&learn->paths.facts);
  record_finish(&learn->record);
  learn_line_finish(learn, reason);
  learn->finished = true;
  learn->recording = false;
}

/* Tasks of the container, without what the runtime's hooks have left behind. */
static size_t count_own(const struct learn *learn) {
  size_t count = 0;
  for (size_t i = 0; i < learn->tasks.capacity; i++)
    count += learn->tasks.slots[i].tid != 0 && !learn->tasks.slots[i].foreign;
  return count;
}

/* The runtime learns of the container's end when init is reaped, so the last line comes first. In a pid namespace of its
   own init is reported dead after all others are gone. With the host's pid namespace others may live on: they are
   recorded until the last has ended, and the last line waits for that. */
static void on_init_end(struct learn *learn, const struct wait_report *report) {
  learn->init_ended = true;
  learn->init_end = *report;
  follow_forget(learn, learn->init);
  tasks_keep(&learn->tasks, follow_still_ours, NULL);
  size_t others = count_own(learn);
  if (!learn->recording) finish(learn, "no-exec", DIGEST_PATIENCE);
  else if (others == 0) finish(learn, "exited", DIGEST_PATIENCE);
  else learn_line_init_exit(learn, others);
  wait_reap(learn->init);
}

static void on_end(struct learn *learn, pid_t tid) {
  if (tid == learn->digest.child) {
    char sha256[SHA256_HEX_SIZE];
    if (digest_take(&learn->digest, 0, sha256)) learn_line_program(learn, sha256);
    return;
  }
  wait_reap(tid);
  follow_forget(learn, tid);
}

static void on_any_stop(struct learn *learn, const struct wait_report *report) {
  if (learn->filtered.installed > 0) {
    struct task *task = tasks_find(&learn->tasks, report->tid);
    if (task && task->unsure) filtered_settle(learn, task, report->event);
  }
  if (report->signal == KERNEL_SYSCALL_STOP && report->event == 0) calls_on_syscall(learn, report->tid);
  else if (report->event == PTRACE_EVENT_SECCOMP) calls_on_seccomp(learn, report->tid);
  else stops_on_stop(learn, report);
}

/* The kernel looks for something to report at the newest tracee first, so many busy threads could starve the oldest.
   Once in a while, therefore, everyone gets a turn. That the table may change meanwhile only makes a turn less fair. */
static void serve_everyone(struct learn *learn) {
  struct wait_report report;
  for (size_t i = 0; i < learn->tasks.capacity && !terminated; i++) {
    pid_t tid = learn->tasks.slots[i].tid;
    if (tid != 0 && wait_peek_task(tid, &report) && report.kind == WAIT_STOPPED) on_any_stop(learn, &report);
  }
}

/* Where there are more threads than processors, each tracee that we let go on would take the processor from us before the
   next one is served. The highest weight and the longest slice (sched_setattr(2); the slice since Linux 6.12) keep it: 120,000
   calls of four threads in our own cgroup took 2.6 s, and take 1.8 s this way (2 processors, Linux 6.18). We only run when a tracee waits for
   us. Not permitted without CAP_SYS_NICE: then it is slower, no more. */
static void ask_for_precedence(void) {
  struct sched_attr attributes = {
      .size = sizeof attributes,
      .sched_policy = 0, /* SCHED_NORMAL of <linux/sched.h> */
      .sched_nice = -20,
      .sched_runtime = 100000000, /* ns, the most that is taken */
  };
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

/* Is there nothing left to do? With our filter not even the runtime's hooks may lose their tracer. */
static bool is_over(struct learn *learn) {
  if (learn->init_ended && !learn->finished && learn->filtered.early && count_own(learn) == 0)
    finish(learn, "exited", DIGEST_PATIENCE);
  return learn->finished && (!learn->filtered.early || learn->tasks.count == 0);
}

/* A container with our filter cannot be let go: the request is passed over. */
static bool may_terminate(const struct learn *learn) {
  static const struct itimerval never;
  if (!learn->filtered.early && learn->filtered.installed == 0) return true;
  setitimer(ITIMER_REAL, &never, NULL);
  terminated = 0;
  return false;
}

void learn_follow(struct learn *learn) {
  struct wait_report report;
  size_t turns = 0;
  catch_termination();
  ask_for_precedence();
  if (learn->join.runtime) { /* at its execve already */
    stops_begin_recording(learn);
    follow_resume(learn, tasks_find(&learn->tasks, learn->init), learn->init, 0);
  }
  while (!terminated || !may_terminate(learn)) {
    if (++turns > 64 + 4 * learn->tasks.count) {
      turns = 0;
      if (learn->tasks.count > 2) serve_everyone(learn);
    }
    if (!wait_peek(&report)) {
      if (errno == EINTR) continue;
      /* ECHILD: nobody is left */
      if (!learn->finished) finish(learn, learn->init_ended ? "exited" : "lost", DIGEST_PATIENCE);
      return;
    }
    if (report.kind == WAIT_STOPPED) {
      on_any_stop(learn, &report);
      continue;
    }
    if (report.tid == learn->init) on_init_end(learn, &report);
    else on_end(learn, report.tid);
    if (is_over(learn)) return;
  }
  /* The end of this process detaches all tracees: without PTRACE_O_EXITKILL they go on, from whatever stop they are
     in, with the signals that they were about to get (see wait_peek()). */
  finish(learn, "terminated", 0);
}
