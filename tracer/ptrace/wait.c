#include "ptrace/wait.h"

#include "base/kernel.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void decode_stop(struct wait_report *report, int status) {
  report->kind = WAIT_STOPPED;
  report->signal = status & 0xff;
  report->event = status >> 8;
}

/* WNOWAIT leaves the stop's code in the kernel's task structure, which has two uses:
   - the end of the container's init can be seen, and the last line written, before it is reaped: only reaping tells the
     runtime, which is the real parent, that the container has ended;
   - if the tracer is killed, a signal whose delivery it was looking at is delivered and not lost: the kernel takes the
     code that a wait would have cleared (ptrace_stop() and ptrace_signal() in kernel/signal.c). At a syscall stop the
     code is SIGTRAP|0x80, which is no valid signal and ignored; PTRACE_O_TRACESYSGOOD must therefore always be set. */
/* The exception: after an exec by a thread that was not the leader, requests fail with ESRCH until the stop has really
   been waited for (looks_like_a_spurious_pid() in kernel/ptrace.c, Linux 5.13): looking at it would go on for ever. */
static void consume_exec(pid_t tid) {
  siginfo_t info;
  waitid(P_PID, (id_t)tid, &info, WSTOPPED | WNOHANG | __WALL);
}

static bool peek(idtype_t type, pid_t tid, int flags, struct wait_report *report) {
  siginfo_t info;
  info.si_pid = 0;
  if (waitid(type, (id_t)tid, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL | flags) != 0 || info.si_pid == 0) return false;
  report->tid = info.si_pid;
  report->event = 0;
  switch (info.si_code) {
    case CLD_EXITED:
      report->kind = WAIT_EXITED;
      report->code = info.si_status;
      break;
    case CLD_KILLED:
    case CLD_DUMPED:
      report->kind = WAIT_SIGNALED;
      report->signal = info.si_status;
      break;
    default:
      decode_stop(report, info.si_status);
      if (report->event == PTRACE_EVENT_EXEC) consume_exec(report->tid);
  }
  return true;
}

/* A tracee that is stopped at each call runs some microseconds between two stops. Going to sleep and being woken, often by another
   processor, takes longer than that, so the tracer looks again and again for a while first. */
enum { EAGER_NS = 40000, MOST_PATIENCE = 1 << 10 };

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Where that was in vain, it is tried less and less often: the tracees compute, or wait for something else. Never on a single processor, which
   the tracee needs. */
static bool peek_eagerly(struct wait_report *report) {
  static int processors;
  static unsigned patience = 1, skipped;
  if (processors == 0) processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
  if (processors < 2 || ++skipped < patience) return false;
  skipped = 0;
  uint64_t end = now_ns() + EAGER_NS;
  do {
    if (peek(P_ALL, 0, WNOHANG, report)) {
      patience = 1;
      return true;
    }
  } while (now_ns() < end);
  if (patience < MOST_PATIENCE) patience *= 2;
  return false;
}

bool wait_peek(struct wait_report *report) { return peek_eagerly(report) || peek(P_ALL, 0, 0, report); }
bool wait_peek_now(struct wait_report *report) { return peek(P_ALL, 0, WNOHANG, report); }
bool wait_peek_task(pid_t tid, struct wait_report *report) { return peek(P_PID, tid, WNOHANG, report); }

void wait_reap(pid_t tid) {
  while (waitpid(tid, NULL, __WALL) < 0 && errno == EINTR) {
  }
}

static volatile sig_atomic_t expired;
static void on_alarm(int signal) {
  (void)signal;
  expired = 1;
}

void wait_deadline(unsigned seconds) {
  struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART, so that waitpid() comes back */
  expired = 0;
  sigaction(SIGALRM, &action, NULL);
  alarm(seconds);
}

bool wait_look(pid_t tid, struct wait_report *report) {
  while (!peek(P_PID, tid, 0, report)) {
    if (errno != EINTR) return false;
    if (expired) {
      errno = ETIMEDOUT;
      return false;
    }
  }
  return true;
}

struct wait_report wait_decode(pid_t tid, int status) {
  struct wait_report report = {.tid = tid};
  if (WIFEXITED(status)) {
    report.kind = WAIT_EXITED;
    report.code = WEXITSTATUS(status);
  } else if (WIFSIGNALED(status)) {
    report.kind = WAIT_SIGNALED;
    report.signal = WTERMSIG(status);
  } else {
    decode_stop(&report, status >> 8);
  }
  return report;
}

bool wait_take(pid_t tid, struct wait_report *report) {
  int status;
  pid_t got;
  while ((got = waitpid(tid, &status, __WALL)) < 0) {
    if (errno != EINTR) return false;
    if (expired) {
      errno = ETIMEDOUT;
      return false;
    }
  }
  *report = wait_decode(got, status);
  return true;
}

bool wait_is_group_stop(const struct wait_report *report) {
  if (report->event != PTRACE_EVENT_STOP) return false;
  return report->signal == SIGSTOP || report->signal == SIGTSTP || report->signal == SIGTTIN ||
         report->signal == SIGTTOU;
}

int wait_pending_signal(const struct wait_report *report) {
  if (report->kind != WAIT_STOPPED || report->event != 0 || report->signal == KERNEL_SYSCALL_STOP) return 0;
  return report->signal;
}

void wait_go_on(const struct wait_report *report) {
  if (wait_is_group_stop(report)) ptrace(PTRACE_LISTEN, report->tid, NULL, 0);
  else ptrace(PTRACE_CONT, report->tid, NULL, wait_pending_signal(report));
}
