/* The tracing loop: which stop gets which answer. See ptrace(2), "Stopped states" and "Attaching and detaching". */
#include "learn.h"

#include "kernel.h"
#include "procfs.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
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
static void resume(const struct learn *learn, pid_t tid, int number) {
  ptrace(learn->recording ? PTRACE_SYSCALL : PTRACE_CONT, tid, NULL, number);
}

static struct task *known(struct learn *learn, pid_t tid) {
  struct task *task = tasks_find(&learn->tasks, tid);
  if (task) return task;
  task = tasks_add(&learn->tasks, tid);
  if (task) learn->born++;
  else learn->lost_tasks++;
  return task;
}

static void forget(struct learn *learn, pid_t tid) {
  struct task *task = tasks_find(&learn->tasks, tid);
  if (!task) return;
  if (task->cloning) learn->cloning--;
  tasks_remove(&learn->tasks, tid);
}

/* The flags of a clone3 call stand first in struct clone_args (<linux/sched.h>). Another thread may change them after
   we have read them, so what finish_clone() finds counts as well. */
static bool asks_untraced(pid_t tid, enum arch_clone kind, uint64_t first) {
  if (kind == ARCH_CLONE3) {
    uint64_t flags = 0;
    struct iovec here = {&flags, sizeof flags}, there = {(void *)(uintptr_t)first, sizeof flags};
    return process_vm_readv(tid, &here, 1, &there, 1, 0) == sizeof flags && (flags & CLONE_UNTRACED);
  }
  return kind == ARCH_CLONE_FLAGS_FIRST && (first & CLONE_UNTRACED);
}

static void begin_clone(struct learn *learn, pid_t tid, enum arch_clone kind, uint64_t first) {
  struct task *task = known(learn, tid);
  if (!task) return;
  if (!task->cloning) learn->cloning++;
  task->cloning = true;
  task->born = false;
  task->untraced = asks_untraced(tid, kind, first);
  if (task->untraced) {
    learn->escaped++; /* counted now, because the caller may never come back from the call */
    learn_line_warn(learn, "untraced-clone", tid);
  }
}

/* A child without an event is one that we do not trace, whatever the flags looked like. */
static void finish_clone(struct learn *learn, pid_t tid, int64_t result, bool failed) {
  struct task *task = tasks_find(&learn->tasks, tid);
  if (!task || !task->cloning) return;
  task->cloning = false;
  learn->cloning--;
  bool escaped = !failed && result > 0 && !task->born;
  if (escaped && !task->untraced) {
    learn->escaped++;
    learn_line_warn(learn, "untraced-clone", tid);
  } else if (task->untraced && !escaped) {
    learn->escaped--;
  }
}

/* The hot path: nothing here allocates or does I/O, except at a first sight and around clone, fork and vfork. Which of a
   call's two stops this is can only be told by asking, but of the exits most need not be looked at (a tenth of the cost
   with threads): the stop that follows an entry, with no other report of the task between them, is its exit. */
static void on_syscall(struct learn *learn, pid_t tid) {
  struct kernel_syscall_info info;
  struct task *task = tasks_find(&learn->tasks, tid);
  if (task && task->inside && !task->cloning) {
    task->inside = false;
    resume(learn, tid, 0);
    return;
  }
  if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) > 0) {
    struct arch_call call;
    if (task) task->inside = info.op == KERNEL_SYSCALL_ENTRY;
    if (info.op == KERNEL_SYSCALL_ENTRY) {
      if (arch_decode(info.arch, info.entry.nr, &call)) {
        combinations_record(&learn->combinations, &learn->stream, &call, info.entry.args);
        record_call(&learn->record, &call);
        enum arch_clone kind = arch_clone_kind(&call);
        if (kind != ARCH_NO_CLONE) begin_clone(learn, tid, kind, info.entry.args[0]);
      } else {
        learn->record.lost++;
      }
    } else if (learn->cloning > 0 && info.op == KERNEL_SYSCALL_EXIT) {
      finish_clone(learn, tid, info.exit.rval, info.exit.is_error);
    }
  } else if (errno != ESRCH) {
    learn->record.lost++; /* EIO: Linux before 5.3. A run that lost calls is never complete. */
  }
  resume(learn, tid, 0);
}

static void begin_recording(struct learn *learn) {
  /* Before, threads only were followed: what the runtime forks from here (hooks) is not the container's program. */
  ptrace(PTRACE_SETOPTIONS, learn->init, NULL,
         PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK);
  learn->recording = true;
  learn->born = 1;
  if (!procfs_exe(learn->init, learn->exe, sizeof learn->exe)) learn->exe[0] = 0;
  learn_line_exec(learn);
  digest_start(&learn->digest, learn->init);
}

/* When a thread other than the leader executes a program, it takes the leader's id over, and its own vanishes without
   a report of its end. The leader's place in the table then belongs to it. */
static void on_exec(struct learn *learn, pid_t tid) {
  unsigned long former = 0;
  ptrace(PTRACE_GETEVENTMSG, tid, NULL, &former);
  if (former != 0 && (pid_t)former != tid) {
    forget(learn, (pid_t)former);
    forget(learn, tid); /* what the old leader was in the middle of is void */
    if (tasks_add(&learn->tasks, tid) == NULL) learn->lost_tasks++;
  }
  if (tid == learn->init && !learn->recording) begin_recording(learn);
  resume(learn, tid, 0);
}

static bool still_ours(pid_t tid, void *context) {
  (void)context;
  siginfo_t info; /* ECHILD: neither a tracee nor a child */
  return waitid(P_PID, (id_t)tid, &info, WEXITED | WSTOPPED | WNOWAIT | WNOHANG | __WALL) == 0;
}

/* The new task may have been reported before its birth is, and may even have ended: then it was counted, and must not
   get a place in the table again, which nothing would ever take away. */
static void on_birth(struct learn *learn, pid_t parent) {
  unsigned long child = 0;
  struct task *task = known(learn, parent);
  if (task) task->born = true;
  if (ptrace(PTRACE_GETEVENTMSG, parent, NULL, &child) == 0 && child != 0 && still_ours((pid_t)child, NULL))
    known(learn, (pid_t)child);
  resume(learn, parent, 0);
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

static void on_stop(struct learn *learn, const struct wait_report *report) {
  pid_t tid = report->tid;
  struct task *task = tasks_find(&learn->tasks, tid);
  if (task) task->inside = false;
  switch (report->event) {
    case 0: {
      int number = report->signal;
      if (number == SIGSTOP && stop_from_inside(tid)) number = 0;
      resume(learn, tid, number);
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
      /* Before the program starts a task of another process is none of ours (clone() with an exit signal of its own). */
      if (!learn->recording && procfs_status_number(tid, "Tgid") != learn->init) {
        forget(learn, tid);
        ptrace(PTRACE_DETACH, tid, NULL, 0);
        return;
      }
      known(learn, tid);
      if (wait_is_group_stop(report)) ptrace(PTRACE_LISTEN, tid, NULL, 0);
      else resume(learn, tid, 0);
      return;
    default:
      resume(learn, tid, 0);
  }
}

static void finish(struct learn *learn, const char *reason, int patience) {
  char sha256[DIGEST_HEX_SIZE];
  if (digest_take(&learn->digest, patience, sha256)) learn_line_program(learn, sha256);
  combinations_finish(&learn->combinations, &learn->stream);
  record_finish(&learn->record);
  learn_line_finish(learn, reason);
}

/* The runtime learns of the container's end when init is reaped, so the last line comes first. In a pid namespace of its
   own init is reported dead after all others are gone. With the host's pid namespace others may live on: they are
   recorded until the last has ended, and the last line waits for that. Returns whether the run is over. */
static bool on_init_end(struct learn *learn, const struct wait_report *report) {
  learn->init_ended = true;
  learn->init_end = *report;
  forget(learn, learn->init);
  tasks_keep(&learn->tasks, still_ours, NULL);
  bool last = learn->tasks.count == 0 || !learn->recording;
  if (last) finish(learn, learn->recording ? "exited" : "no-exec", DIGEST_PATIENCE);
  else learn_line_init_exit(learn, learn->tasks.count);
  wait_reap(learn->init);
  return last;
}

static void on_end(struct learn *learn, pid_t tid) {
  if (tid == learn->digest.child) {
    char sha256[DIGEST_HEX_SIZE];
    if (digest_take(&learn->digest, 0, sha256)) learn_line_program(learn, sha256);
    return;
  }
  wait_reap(tid);
  forget(learn, tid);
}

static void on_any_stop(struct learn *learn, const struct wait_report *report) {
  if (report->signal == KERNEL_SYSCALL_STOP && report->event == 0) on_syscall(learn, report->tid);
  else on_stop(learn, report);
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

void learn_follow(struct learn *learn) {
  struct wait_report report;
  size_t turns = 0;
  catch_termination();
  ask_for_precedence();
  if (learn->join.runtime) { /* at its execve already */
    begin_recording(learn);
    resume(learn, learn->init, 0);
  }
  while (!terminated) {
    if (++turns > 64 + 4 * learn->tasks.count) {
      turns = 0;
      if (learn->tasks.count > 2) serve_everyone(learn);
    }
    if (!wait_peek(&report)) {
      if (errno == EINTR) continue;
      /* ECHILD: nobody is left */
      finish(learn, learn->init_ended ? "exited" : "lost", DIGEST_PATIENCE);
      return;
    }
    if (report.kind == WAIT_STOPPED) {
      on_any_stop(learn, &report);
    } else if (report.tid == learn->init) {
      if (on_init_end(learn, &report)) return;
    } else {
      on_end(learn, report.tid);
    }
  }
  /* The end of this process detaches all tracees: without PTRACE_O_EXITKILL they go on, from whatever stop they are
     in, with the signals that they were about to get (see wait_peek()). */
  finish(learn, "terminated", 0);
}
