/* enforce --joining: from the runtime's start to the first instruction of the program that it starts in the container. */
#include "base/journal.h"
#include "base/procfs.h"
#include "enforce/enforce.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum { JOINED_MAX = 64 /* processes between joining and their execve; known runtimes have two, one of them ending */ };

/* A process that has joined the container and is held until its program starts or it ends. */
struct joined {
  pid_t pid;
  int before; /* programs below ours; -1: ours are not there */
};

struct runtime {
  struct enforce *enforce;
  struct joined joined[JOINED_MAX];
  int count;
  bool released; /* a program has started: what has not joined is let go */
};

static struct joined *joined_of(struct runtime *runtime, pid_t pid) {
  for (int i = 0; i < runtime->count; i++) {
    if (runtime->joined[i].pid == pid) return &runtime->joined[i];
  }
  return NULL;
}

static struct joined *add_joined(struct runtime *runtime, pid_t pid) {
  struct joined *joined = joined_of(runtime, pid);
  if (joined || runtime->count == JOINED_MAX) return joined;
  joined = &runtime->joined[runtime->count++];
  *joined = (struct joined){.pid = pid, .before = -1};
  return joined;
}

static void remove_joined(struct runtime *runtime, pid_t pid) {
  struct joined *joined = joined_of(runtime, pid);
  if (joined) *joined = runtime->joined[--runtime->count];
}

/* The same run for one process. */
static struct enforce for_process(const struct runtime *runtime, pid_t pid) {
  struct enforce one = *runtime->enforce;
  one.init = pid;
  return one;
}

/* It is stopped, so the journal comes first: whoever sees the end finds the reason. The id is still its own, as nobody can
   reap a tracee before us, and its end is reported like any other's. */
static void put_to_death(pid_t pid, const char *reason) {
  journal_write("killed", pid, "%s", reason);
  kill(pid, SIGKILL);
}

/* Nothing is known of it, or it is ending: there SIGKILL changes nothing, not even the exit code, and is no news. */
static void distrust(pid_t pid, enum join_place place) {
  if (place == JOIN_UNKNOWN) put_to_death(pid, "cannot tell whether the process has joined the container");
  else kill(pid, SIGKILL);
}

/* A child of a process that has our programs already has them too. Where are they among what it has? */
static int inherited(const struct enforce *one) {
  int installed = filters_installed(one->init);
  for (int before = 0; before + one->count <= installed; before++) {
    if (filters_match(one->init, before, one->filters, one->count, one->log)) return before;
  }
  return -1;
}

/* At a stop where it can be taken over. Most join before they exist: their parent has changed the namespace for its children,
   and nothing of them has run. Those that join while they run, and are not stopped afterwards, get the programs at their execve,
   if that is permitted. */
static void install(struct runtime *runtime, struct joined *joined) {
  struct enforce one = for_process(runtime, joined->pid);
  int error;
  if ((joined->before = inherited(&one)) >= 0) return;
  wait_deadline(ENFORCE_PATIENCE);
  const char *problem = install_suspended(&one, &error);
  wait_deadline(0);
  if (!problem) {
    joined->before = one.before;
    journal_write("installed", joined->pid, "%d filter(s), suspended until the program starts", one.count);
  } else if (error != EACCES) {
    put_to_death(joined->pid, problem);
  }
}

static bool is_process(pid_t tid) { return procfs_status_number(tid, "Tgid") == tid; }

/* The first stop of a new task, or one where it can be taken over. Threads have what their process has. */
static void look_at(struct runtime *runtime, const struct wait_report *report) {
  pid_t pid = report->tid;
  if (!is_process(pid)) return;
  enum join_place place = join_place(&runtime->enforce->join, pid);
  if (place == JOIN_HOME) return;
  if (place != JOIN_INSIDE) {
    distrust(pid, place);
    return;
  }
  struct joined *joined = add_joined(runtime, pid);
  if (!joined) {
    put_to_death(pid, "too many processes have joined the container");
  } else if (joined->before < 0 && runtime->enforce->install != INSTALL_EXEC && report->event == PTRACE_EVENT_STOP &&
             !wait_is_group_stop(report)) {
    install(runtime, joined);
  }
}

static bool may_go(struct runtime *runtime, pid_t tid) {
  return runtime->released && !joined_of(runtime, (pid_t)procfs_status_number(tid, "Tgid")) &&
         join_place(&runtime->enforce->join, tid) == JOIN_HOME;
}

/* All are interrupted first and then let go as they stop: a parent in vfork() stops only after its child has gone on. */
static void release(struct runtime *runtime) {
  const struct tasks *tasks = &runtime->enforce->tasks;
  runtime->released = true;
  for (size_t i = 0; i < tasks->capacity; i++) {
    pid_t tid = tasks->slots[i].tid;
    if (tid != 0) ptrace(PTRACE_INTERRUPT, tid, NULL, 0);
  }
}

/* Returns whether the process is still ours. */
static bool on_joined_exec(struct runtime *runtime, pid_t pid) {
  struct enforce one = for_process(runtime, pid);
  const struct joined *joined = joined_of(runtime, pid);
  bool early = joined && joined->before >= 0;
  const char *problem;
  if (early) one.before = joined->before;
  if (!early && one.install == INSTALL_EARLY) {
    problem = "the program starts in a process in which the filters could not be installed before";
  } else {
    one.install = early ? INSTALL_EARLY : INSTALL_EXEC;
    problem = guard_start_program(&one);
  }
  if (problem) {
    put_to_death(pid, problem);
    return true;
  }
  remove_joined(runtime, pid);
  release(runtime);
  return false;
}

static bool on_exec(struct runtime *runtime, pid_t tid) {
  struct tasks *tasks = &runtime->enforce->tasks;
  unsigned long former = 0;
  if (ptrace(PTRACE_GETEVENTMSG, tid, NULL, &former) == 0 && (pid_t)former != tid) tasks_remove(tasks, (pid_t)former);
  enum join_place place = join_place(&runtime->enforce->join, tid);
  if (place == JOIN_INSIDE) {
    if (on_joined_exec(runtime, tid)) return true;
    tasks_remove(tasks, tid);
    return false;
  }
  if (place != JOIN_HOME) distrust(tid, place);
  return true;
}

static void on_stop(struct runtime *runtime, const struct wait_report *report) {
  struct tasks *tasks = &runtime->enforce->tasks;
  pid_t tid = report->tid;
  bool new = tasks_find(tasks, tid) == NULL;
  tasks_add(tasks, tid); /* without memory for it, it is looked at again at each stop */
  if (new || report->event == PTRACE_EVENT_STOP) look_at(runtime, report);
  if (report->event == PTRACE_EVENT_EXEC && !on_exec(runtime, tid)) return;
  if (may_go(runtime, tid)) {
    tasks_remove(tasks, tid);
    guard_let_go(report);
  } else {
    wait_go_on(report);
  }
}

void join_guard(struct enforce *enforce) {
  static struct runtime runtime; /* large */
  struct wait_report report;
  runtime.enforce = enforce;
  while (wait_take(-1, &report)) {
    if (report.kind == WAIT_STOPPED) {
      on_stop(&runtime, &report);
    } else {
      remove_joined(&runtime, report.tid);
      tasks_remove(&enforce->tasks, report.tid);
    }
  }
  if (!runtime.released) journal_write("ended", enforce->join.runtime, "the runtime ended and started no program in the container");
}
