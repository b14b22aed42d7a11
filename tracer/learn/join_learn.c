/* learn --joining: from the runtime's start to the execve of the program that it starts in the container. */
#include "learn/learn.h"

#include "base/kernel.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

enum { PATIENCE = 5 /* seconds for the runtime's own processes in the container to end, while the program waits */ };

static void let_go(struct learn *learn, const struct wait_report *report) {
  tasks_remove(&learn->tasks, report->tid);
  ptrace(PTRACE_DETACH, report->tid, NULL, wait_pending_signal(report));
}

static void on_end(struct learn *learn, const struct wait_report *report) {
  if (report->tid == learn->join.runtime) {
    learn->init_ended = true;
    learn->init_end = *report;
  }
  tasks_remove(&learn->tasks, report->tid);
  wait_reap(report->tid);
}

static void add(struct learn *learn, pid_t tid) {
  if (!tasks_add(&learn->tasks, tid)) learn->lost_tasks++;
}

/* A child is one of the tasks before its parent can be let go. It may have been reported earlier, and even have ended. */
static void on_birth(struct learn *learn, pid_t parent) {
  unsigned long child = 0;
  siginfo_t info;
  if (ptrace(PTRACE_GETEVENTMSG, parent, NULL, &child) != 0 || child == 0) return;
  if (waitid(P_PID, (id_t)child, &info, WEXITED | WSTOPPED | WNOWAIT | WNOHANG | __WALL) == 0) add(learn, (pid_t)child);
}

/* A thread that executes a program takes over the id of its process. */
static void forget_former(struct learn *learn, pid_t tid) {
  unsigned long former = 0;
  if (ptrace(PTRACE_GETEVENTMSG, tid, NULL, &former) == 0 && (pid_t)former != tid) tasks_remove(&learn->tasks, (pid_t)former);
}

static void on_stop(struct learn *learn, const struct wait_report *report) {
  add(learn, report->tid);
  if (report->event == PTRACE_EVENT_EXEC) forget_former(learn, report->tid);
  if (report->event == PTRACE_EVENT_FORK || report->event == PTRACE_EVENT_VFORK || report->event == PTRACE_EVENT_CLONE)
    on_birth(learn, report->tid);
}

/* Until a process executes a program in the container. Returns its id; 0: all have ended. */
static pid_t find_program(struct learn *learn) {
  struct wait_report report;
  while (wait_peek(&report) || errno == EINTR) {
    if (report.kind != WAIT_STOPPED) {
      on_end(learn, &report);
      continue;
    }
    on_stop(learn, &report);
    if (report.event == PTRACE_EVENT_EXEC && join_place(&learn->join, report.tid) == JOIN_INSIDE) return report.tid;
    wait_go_on(&report);
  }
  return 0;
}

static void interrupt_others(const struct learn *learn, pid_t program) {
  for (size_t i = 0; i < learn->tasks.capacity; i++) {
    pid_t tid = learn->tasks.slots[i].tid;
    if (tid != 0 && tid != program) ptrace(PTRACE_INTERRUPT, tid, NULL, 0);
  }
}

/* Of the runtime's processes in the container one that is still there has done its part and is about to end. What does not
   is let go as well, but starts another program, or might, and nobody records that. */
static void release_if_done(struct learn *learn, const struct wait_report *report, bool patient) {
  enum join_place place = join_place(&learn->join, report->tid);
  if (place == JOIN_HOME) {
    let_go(learn, report);
  } else if (place == JOIN_ENDING || (patient && report->event != PTRACE_EVENT_EXEC)) {
    wait_go_on(report);
  } else {
    learn->escaped++;
    learn_line_warn(learn, "untraced-process", report->tid);
    let_go(learn, report);
  }
}

static void finish(struct learn *learn) {
  record_finish(&learn->record);
  learn_line_finish(learn, "no-exec");
}

/* Returns whether the program, which is held meanwhile, is still alive. */
static bool release_others(struct learn *learn, pid_t program) {
  struct wait_report report;
  bool patient = true, alive = true;
  interrupt_others(learn, program);
  wait_deadline(PATIENCE);
  while (learn->tasks.count > (alive ? 1 : 0)) {
    if (!wait_peek(&report)) {
      if (errno != EINTR) break;
      patient = false;
      interrupt_others(learn, program);
    } else if (report.kind == WAIT_STOPPED) {
      on_stop(learn, &report);
      release_if_done(learn, &report, patient);
    } else {
      if (report.tid == program) {
        alive = false;
        learn->init_ended = true;
        learn->init_end = report;
        finish(learn); /* before the runtime can know of it */
      }
      on_end(learn, &report);
    }
  }
  wait_deadline(0);
  return alive;
}

bool join_learn(struct learn *learn) {
  pid_t program = find_program(learn);
  if (program == 0) {
    finish(learn);
    return false;
  }
  if (!release_others(learn, program)) return false;
  learn->init = program;
  learn->init_ended = false; /* that may have been the runtime's end */
  return true;
}
