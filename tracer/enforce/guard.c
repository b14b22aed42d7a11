/* From the hook's return to the program's first instruction. */
#include "base/journal.h"
#include "enforce/enforce.h"
#include "filters/answer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

void guard_let_go(const struct wait_report *report) {
  ptrace(PTRACE_SETOPTIONS, report->tid, NULL, 0);
  ptrace(PTRACE_DETACH, report->tid, NULL, wait_pending_signal(report));
}

/* Whatever hooks have left behind, with the filters in force for it from now on. All are interrupted first and then
   taken as they come: a parent in vfork() stops only after its child has gone on. */
static void let_everyone_go(struct enforce *enforce) {
  struct wait_report report;
  for (size_t i = 0; i < enforce->tasks.capacity; i++) {
    pid_t tid = enforce->tasks.slots[i].tid;
    if (tid != 0 && tid != enforce->init) ptrace(PTRACE_INTERRUPT, tid, NULL, 0);
  }
  wait_deadline(ENFORCE_PATIENCE);
  while (wait_take(-1, &report)) {
    if (report.kind == WAIT_STOPPED) guard_let_go(&report);
  }
}

/* Not to be doubted: SIGKILL, also for a process that is stopped. */
static void put_to_death(const struct enforce *enforce, const char *reason) {
  struct wait_report report;
  kill(enforce->init, SIGKILL); /* the id is still its own: nobody can reap a tracee before us */
  journal_write("killed", enforce->init, "%s", reason);
  while (wait_take(-1, &report)) {
    if (report.kind == WAIT_STOPPED) wait_go_on(&report);
    else if (report.tid == enforce->init) return; /* its children die with us */
  }
}

static const char *check_early(const struct enforce *enforce) {
  int installed = filters_installed(enforce->init);
  if (installed < enforce->before + enforce->count) return "filters are missing at the start of the program";
  if (!filters_match(enforce->init, enforce->before, enforce->filters, enforce->count, enforce->log))
    return "the filters at the start of the program are not those that were installed";
  return NULL;
}

/* What the runtime has loaded by itself: the programs that were meant, or, where none are given, at least one. */
static const char *check_present(const struct enforce *enforce) {
  int installed = filters_installed(enforce->init);
  if (installed < 0) return "cannot read back the filters that the runtime has loaded";
  if (installed < 1 || installed < enforce->count) return "the runtime has loaded no filter, or not all";
  /* Whether it logs is the runtime's to say. */
  if (enforce->count > 0 && !filters_match(enforce->init, 0, enforce->filters, enforce->count, true) &&
      !filters_match(enforce->init, 0, enforce->filters, enforce->count, false))
    return "the filters that the runtime has loaded are not those that were meant";
  return NULL;
}

/* The runtime has its own libseccomp, and adds to what it compiles: its programs are other ones, which must not allow more. */
static const char *check_within(const struct enforce *enforce) {
  static char problem[160];
  uint32_t arch, nr;
  int installed = filters_installed(enforce->init);
  if (installed < 0) return "cannot read back the filters that the runtime has loaded";
  if (installed < 1) return "the runtime has loaded no filter";
  if (!answer_wider(enforce->init, enforce->filters, enforce->count, &arch, &nr)) return NULL;
  snprintf(problem, sizeof problem,
           "the filters that the runtime has loaded allow more than the policy: call %u of architecture 0x%x", nr, arch);
  return problem;
}

static const char *put_into_force(struct enforce *enforce) {
  if (enforce->install == INSTALL_EARLY) return check_early(enforce);
  if (enforce->install == INSTALL_PRESENT) return check_present(enforce);
  if (enforce->install == INSTALL_WITHIN) return check_within(enforce);
  return install_at_exec(enforce);
}

static const char *how(enum install install) {
  if (install_by_runtime(install)) return "by the runtime";
  return install == INSTALL_EARLY ? "early" : "at exec";
}

const char *guard_start_program(struct enforce *enforce) {
  wait_deadline(ENFORCE_PATIENCE);
  const char *problem = put_into_force(enforce);
  wait_deadline(0);
  /* Clearing the options ends the suspension: from here on the filters are in force. */
  if (!problem && ptrace(PTRACE_SETOPTIONS, enforce->init, NULL, 0) != 0) problem = "cannot end the suspension of filters";
  if (problem) return problem;
  /* Before it goes on: whoever sees the program's end finds the line. */
  journal_write("in-force", enforce->init, "%d filter(s), installed %s", enforce->count, how(enforce->install));
  return ptrace(PTRACE_DETACH, enforce->init, NULL, 0) == 0 ? NULL : "cannot detach from the process";
}

static void on_program(struct enforce *enforce) {
  const char *problem = guard_start_program(enforce);
  if (problem) put_to_death(enforce, problem);
  else let_everyone_go(enforce);
}

static void track(struct enforce *enforce, const struct wait_report *report) {
  unsigned long former = 0;
  if (report->kind != WAIT_STOPPED) {
    tasks_remove(&enforce->tasks, report->tid);
    return;
  }
  tasks_add(&enforce->tasks, report->tid); /* without memory for it: EXITKILL ends it, which is the safe side */
  if (report->event != PTRACE_EVENT_EXEC || ptrace(PTRACE_GETEVENTMSG, report->tid, NULL, &former) != 0) return;
  if (former != 0 && (pid_t)former != report->tid) tasks_remove(&enforce->tasks, (pid_t)former);
}

void guard(struct enforce *enforce) {
  struct wait_report report;
  while (wait_take(-1, &report)) {
    track(enforce, &report);
    if (report.tid == enforce->init && report.kind != WAIT_STOPPED) {
      journal_write("ended", enforce->init, "the process ended before its program started");
      let_everyone_go(enforce);
      return;
    }
    if (report.tid == enforce->init && report.event == PTRACE_EVENT_EXEC) {
      on_program(enforce);
      return;
    }
    if (report.kind == WAIT_STOPPED) wait_go_on(&report);
  }
}
