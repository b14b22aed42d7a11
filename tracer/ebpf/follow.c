/* learn with eBPF, after the hook has returned. Until the program starts, init is traced with ptrace, without stops at
   system calls: so its execve is not missed, and while it is held there the file that it executes can be opened, however
   soon it ends. Then it is let go for good, and the tracer reads the counts from time to time until the last task has ended. */
#include "ebpf/ebpf.h"
#include "learn/learn.h"

#include "base/kernel.h"
#include "base/pidfd.h"
#include "base/procfs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
  SOONEST = 10, LATEST = 500, /* ms between two readings: the sooner, the more recently something was new */
  DIGEST_PATIENCE = 10000,    /* ms that the last line may wait for the digest of a huge program */
};

struct watch {
  struct learn *learn;
  struct ebpf *ebpf;
  int signals; /* signalfd */
  int init;    /* pidfd */
  int delay;   /* ms until the next reading */
  bool full;   /* it has been said that the table is full */
  bool filtered; /* denied calls are looked for */
  const char *over; /* the last line's reason */
};

static int take_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Held at PTRACE_EVENT_EXEC. The programs have begun to watch it already, at sched_process_exec. */
static void begin_recording(struct watch *watch) {
  struct learn *learn = watch->learn;
  learn->recording = true;
  if (!procfs_exe(learn->init, learn->exe, sizeof learn->exe)) learn->exe[0] = 0;
  learn_line_exec(learn);
  paths_executed(&learn->paths, NULL, learn->init);
  digest_start(&learn->digest, learn->init);
  watch->filtered = watch->filtered || procfs_status_number(learn->init, "Seccomp") != 0;
  if (watch->filtered) watch->ebpf->all_state->filtered = 1;
  else ebpf_detach_leave(watch->ebpf); /* it costs as much as the counting itself */
  if (!watch->ebpf->all_state->started) watch->over = "lost";
  ptrace(PTRACE_DETACH, learn->init, NULL, 0);
}

static void on_report(struct watch *watch, const struct wait_report *report) {
  struct learn *learn = watch->learn;
  pid_t tid = report->tid;
  if (report->kind != WAIT_STOPPED) {
    if (tid == learn->init) {
      learn->init_ended = true;
      learn->init_end = *report;
      watch->over = "no-exec"; /* it is reaped after the last line */
    } else {
      wait_reap(tid);
    }
  } else if (report->event == PTRACE_EVENT_EXEC && tid == learn->init) {
    begin_recording(watch);
  } else if (report->event == PTRACE_EVENT_STOP && procfs_status_number(tid, "Tgid") != learn->init) {
    ptrace(PTRACE_DETACH, tid, NULL, 0); /* what the runtime forks is none of ours (clone() with an exit signal of its own) */
  } else if (wait_is_group_stop(report)) {
    ptrace(PTRACE_LISTEN, tid, NULL, 0);
  } else {
    ptrace(PTRACE_CONT, tid, NULL, wait_pending_signal(report));
  }
}

static void on_init_end(struct watch *watch) {
  struct learn *learn = watch->learn;
  int status;
  learn->init_ended = true;
  learn->init_end.kind = WAIT_STOPPED;
  if (pidfd_exit_status(watch->init, learn->init, &status)) learn->init_end = wait_decode(learn->init, status);
  uint64_t live = watch->ebpf->all_state->live;
  if (live > 0) learn_line_init_exit(learn, live);
}

static void take_digest(struct watch *watch, int patience) {
  char sha256[SHA256_HEX_SIZE];
  if (digest_take(&watch->learn->digest, patience, sha256)) learn_line_program(watch->learn, sha256);
}

/* A task installs a filter while the program runs already. What that denied before we look is not seen: such a run is not
   complete. */
static void on_late_filter(struct watch *watch) {
  watch->filtered = true;
  watch->learn->record.lost++;
  ebpf_attach_leave(watch->ebpf);
  learn_line_warn(watch->learn, "late-filter", 0);
}

static void read_counts(struct watch *watch) {
  struct ebpf *ebpf = watch->ebpf;
  uint64_t before = watch->learn->record.distinct;
  if (ebpf->reader && ebpf_paths_read(ebpf, &watch->learn->paths)) watch->delay = 0;
  bool soon = ebpf_read(ebpf, &watch->learn->record, &watch->learn->combinations, false);
  watch->delay = soon || watch->delay == 0 || watch->learn->record.distinct != before ? SOONEST : watch->delay * 2;
  if (watch->delay > LATEST) watch->delay = LATEST;
  watch->learn->live->calls = ebpf_calls(ebpf);
  watch->learn->live->lost = ebpf->all_state->lost_calls + ebpf->all_state->lost_tasks;
  watch->learn->live->updated = live_now();
  if (ebpf->all_state->filtered && !watch->filtered) on_late_filter(watch);
  if (ebpf->all_state->lost_tasks > 0 && !watch->full) {
    watch->full = true;
    learn_line_warn(watch->learn, "task-table-full", 0);
  }
}

/* Did the programs miss the end of a task, so that their number of living tasks says nothing? */
static bool cannot_tell_the_end(const struct ebpf *ebpf) {
  uint64_t calls, tasks;
  ebpf_misses(ebpf, &calls, &tasks);
  return tasks > 0;
}

static void wait_for_something(struct watch *watch) {
  struct learn *learn = watch->learn;
  bool recording = learn->recording;
  struct pollfd polls[] = {
      {.fd = watch->signals, .events = POLLIN},
      {.fd = recording && !learn->init_ended ? watch->init : -1, .events = POLLIN},
      {.fd = learn->digest.child ? learn->digest.result : -1, .events = POLLIN},
      /* While it is read every few milliseconds there is no need to be woken. */
      {.fd = watch->ebpf->reader && watch->delay > SOONEST ? watch->ebpf->ring : -1, .events = POLLIN},
  };
  if (poll(polls, 4, recording ? watch->delay : -1) < 0) return;
  struct signalfd_siginfo info;
  while (read(watch->signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGTERM) watch->over = "terminated";
  }
  if (polls[1].revents) on_init_end(watch);
  if (polls[2].revents) take_digest(watch, 0);
}

static void finish(struct watch *watch) {
  struct learn *learn = watch->learn;
  struct ebpf *ebpf = watch->ebpf;
  uint64_t calls, tasks;
  take_digest(watch, learn->init_ended ? DIGEST_PATIENCE : 0);
  if (learn->recording) ebpf_read(ebpf, &learn->record, &learn->combinations, true);
  if (ebpf->reader) ebpf_paths_finish(ebpf, &learn->paths);
  ebpf_misses(ebpf, &calls, &tasks);
  learn->born = ebpf->all_state->born;
  learn->lost_tasks += ebpf->all_state->lost_tasks + tasks;
  learn->record.lost += ebpf->all_state->lost_calls + calls;
  combinations_finish(&learn->combinations, &learn->stream);
  record_finish(&learn->record);
  learn_line_finish(learn, watch->over);
}

void learn_follow_ebpf(struct learn *learn, struct ebpf *ebpf, bool denied) {
  struct wait_report report;
  struct watch watch = {.learn = learn, .ebpf = ebpf, .delay = SOONEST, .filtered = denied};
  watch.signals = take_signals();
  watch.init = pidfd_of(learn->init);
  if (watch.signals < 0 || watch.init < 0) watch.over = "lost";
  while (!watch.over) {
    /* Tracees are waited for only as long as there are some: later the only child is the digest's, which is reaped by its id. */
    while (!learn->recording && !watch.over && wait_peek_now(&report)) on_report(&watch, &report);
    if (learn->recording) read_counts(&watch);
    if (!watch.over && learn->init_ended && (ebpf->all_state->live == 0 || cannot_tell_the_end(ebpf))) watch.over = "exited";
    if (!watch.over) wait_for_something(&watch);
  }
  finish(&watch);
  if (learn->init_ended && !learn->recording) wait_reap(learn->init);
}
