#include "learn/filtered.h"

#include "base/procfs.h"
#include "ptrace/implant.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Without PTRACE_O_EXITKILL the container goes on if the tracer dies. With a filter it could not: RET_TRACE without a tracer means
   ENOSYS (__seccomp_filter() in kernel/seccomp.c). */
enum {
  BEFORE_PROGRAM = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE,
  IN_PROGRAM = BEFORE_PROGRAM | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK,
};

/* SPEC_ALLOW: a filter must not slow the program down by switching off speculation (Linux before 5.16). TSYNC: all threads share one
   filter, or a program that wants to give all its threads one itself could not (seccomp_can_sync_threads()). */
enum { FLAGS = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW };

static unsigned long options(const struct learn *learn, bool filtered) {
  unsigned long set = IN_PROGRAM;
  if (learn->backend != LEARN_PTRACE_SYSCALL) set |= PTRACE_O_TRACESECCOMP;
  if (filtered) set |= PTRACE_O_EXITKILL;
  return set;
}

/* From now on our death kills the container: be the last that the kernel chooses when memory is short. Lowering it needs
   CAP_SYS_RESOURCE; without it things stay as they are. */
static void ask_for_survival(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t written = write(fd, "-1000", 5); /* OOM_SCORE_ADJ_MIN, <linux/oom.h> */
  (void)written;
  close(fd);
}

/* Calls whose arguments are recorded must be seen each time, and those that name files or addresses when they do. */
static bool may_pass(struct learn *learn, int abi, int nr) {
  struct arch_call call = {.abi = abi, .nr = nr};
  const struct paths_shape *shape = paths_shape(&learn->paths, &call);
  int condition = shape ? paths_condition(shape) : -1;
  if (combinations_of(&learn->combinations, &call) != 0 || (shape && condition < 0)) return false;
  learn->filtered.pass.null[abi][nr] = (uint8_t)(condition + 1);
  if (learn->backend == LEARN_PTRACE_ADAPTIVE) return learn->record.regular[abi][nr].count > 0;
  return learn->backend == LEARN_PTRACE_KNOWN && learn->filtered.pass.pass[abi][nr];
}

static bool make_filter(struct learn *learn, struct filter *filter) {
  static struct sock_filter program[BPF_MAXINSNS];
  struct allow *allow = &learn->filtered.pass;
  for (int abi = 0; abi < arch_abi_count; abi++) {
    for (int nr = 0; nr < ALLOW_NUMBERS; nr++) allow->pass[abi][nr] = may_pass(learn, abi, nr);
  }
  *filter = (struct filter){.instructions = program, .length = allow_program(allow, program)};
  return filter->length > 0;
}

/* A filter is in force: what passes it, is not seen any more. */
static void note_installed(struct learn *learn) {
  if (learn->filtered.before > 0) learn->filtered.others = true;
  if (learn->filtered.installed++ > 0) return;
  ask_for_survival();
  learn->filtered.passed = learn->backend != LEARN_PTRACE_TRACE;
  if (learn->backend != LEARN_PTRACE_KNOWN) return;
  for (int abi = 0; abi < arch_abi_count; abi++) learn_line_known(learn, abi);
}

/* Like enforce's early installation, while the runtime's init may set filters without NO_NEW_PRIVS; the program inherits it. */
static bool install_early(struct learn *learn) {
  struct filter filter;
  struct remote remote;
  int error;
  if (!make_filter(learn, &filter) || implant_stop(learn->init) != 0) return false;
  bool good = remote_begin(&remote, learn->init) == 0;
  if (good) {
    good = implant(&remote, &filter, 1, FLAGS, &error) == NULL;
    if (remote_end(&remote, true) != 0) good = false;
  }
  if (!good) ptrace(PTRACE_SETOPTIONS, learn->init, NULL, BEFORE_PROGRAM | PTRACE_O_TRACESECCOMP);
  ptrace(PTRACE_CONT, learn->init, NULL, 0);
  return good;
}

/* What the runtime's init forks from here on has the filter too, and must have a tracer. PTRACE_O_SUSPEND_SECCOMP spares the runtime our
   stops; it is permitted to root only, and without it things are slower until the program starts. */
bool filtered_attach(struct learn *learn, struct seize_failure *failure) {
  bool joining = learn->join.runtime != 0; /* then it is not known yet which process will be the program's */
  bool wanted = !joining && (learn->backend == LEARN_PTRACE_TRACE || learn->backend == LEARN_PTRACE_KNOWN);
  unsigned long set = wanted ? options(learn, true) : joining ? IN_PROGRAM : BEFORE_PROGRAM;
  bool attached = wanted && seize_process(learn->init, set | PTRACE_O_SUSPEND_SECCOMP, &learn->tasks, failure);
  if (!attached && learn->tasks.count > 0) return false;
  if (!attached && !seize_process(learn->init, set, &learn->tasks, failure)) return false;
  wait_deadline(FILTERED_PATIENCE);
  learn->filtered.early = wanted && install_early(learn);
  wait_deadline(0);
  return true;
}

static void all_others_are_foreign(struct learn *learn) {
  for (size_t i = 0; i < learn->tasks.capacity; i++) {
    struct task *task = &learn->tasks.slots[i];
    if (task->tid != 0 && task->tid != learn->init) task->foreign = true;
  }
}

void filtered_begin(struct learn *learn, struct task *task) {
  struct filtered *filtered = &learn->filtered;
  /* This ends the suspension, too. */
  ptrace(PTRACE_SETOPTIONS, learn->init, NULL, options(learn, filtered->early));
  int64_t count = procfs_status_number(learn->init, "Seccomp_filters"); /* -1: Linux before 5.9 */
  filtered->before = count - filtered->early;
  filtered->off = filtered->before < 0 || (filtered->before > 0 && filtered->automatic);
  if (!filtered->early) return;
  all_others_are_foreign(learn);
  if (!task || filtered->off) return;
  task->filtered = true;
  note_installed(learn);
}

/* Every thread has the filter now; one that is in the middle of clone() may have a child without it. */
static void mark_process(struct learn *learn, pid_t tid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", tid);
  DIR *directory = opendir(path);
  struct dirent *entry;
  while (directory && (entry = readdir(directory))) {
    struct task *task = tasks_find(&learn->tasks, atoi(entry->d_name));
    if (!task || task->filtered) continue;
    task->filtered = true;
    task->unsure = task->tid != tid;
  }
  if (directory) closedir(directory);
}

/* Needs CAP_SYS_ADMIN or NO_NEW_PRIVS in the task, which is set where --allow-no-new-privs permits it. */
static bool install(struct learn *learn, pid_t tid) {
  static const uint64_t no_new_privs[6] = {PR_SET_NO_NEW_PRIVS, 1};
  struct filter filter;
  struct remote remote;
  int64_t result = 0;
  int error;
  bool needed = procfs_status_number(tid, "NoNewPrivs") != 1 && !procfs_capable(tid, CAP_SYS_ADMIN);
  if (needed && !learn->filtered.allow_no_new_privs) return false;
  /* Filters that the container has might refuse the calls that we make it execute: they are suspended, where we may do that. */
  unsigned long set = options(learn, true) | (learn->filtered.before > 0 ? PTRACE_O_SUSPEND_SECCOMP : 0);
  if (!make_filter(learn, &filter) || ptrace(PTRACE_SETOPTIONS, tid, NULL, set) != 0) return false;
  if (remote_begin(&remote, tid) != 0) return false;
  bool good = !needed || remote_call(&remote, ARCH_CALL_PRCTL, no_new_privs, &result) == 0;
  good = good && implant(&remote, &filter, 1, FLAGS, &error) == NULL;
  remote_end(&remote, false); /* it fails only if the task is dead */
  if (remote.group_stop) ptrace(PTRACE_INTERRUPT, tid, NULL, 0);
  return good;
}

/* More filters than at the start of the program are ours, unless a program has set one itself: then nobody knows. One attempt is
   made for each task: what it lacks (NO_NEW_PRIVS, memory) it will seldom get. */
void filtered_give(struct learn *learn, struct task *task) {
  pid_t tid = task->tid;
  int64_t count = procfs_status_number(tid, "Seccomp_filters");
  bool unknown = count < 0, more = count != learn->filtered.before;
  if (more && !unknown && !learn->filtered.programs_own) {
    task->filtered = true;
  } else if (!more && install(learn, tid)) {
    mark_process(learn, tid);
    note_installed(learn);
  } else {
    task->plain = true;
  }
  ptrace(PTRACE_SETOPTIONS, tid, NULL, options(learn, task->filtered));
}

/* The child whose birth is reported may be older than the filter. */
void filtered_settle(const struct learn *learn, struct task *task, int event) {
  ptrace(PTRACE_SETOPTIONS, task->tid, NULL, options(learn, true));
  task->unsure = event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE;
}

/* A child has its parent's filters as they were at its birth. Where that is not sure, filtered_give() finds out. */
void filtered_inherit(const struct task *parent, struct task *child) {
  child->plain = parent->plain;
  child->foreign = parent->foreign;
  child->unsure = parent->unsure; /* it may lack options */
  child->filtered = parent->filtered && !parent->unsure;
}

void filtered_yield(struct learn *learn, struct task *task, bool all_threads) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", task->tid);
  DIR *directory = all_threads ? opendir(path) : NULL;
  struct dirent *entry;
  while (directory && (entry = readdir(directory))) {
    struct task *other = tasks_find(&learn->tasks, atoi(entry->d_name));
    if (!other || other == task) continue;
    if (other->filtered) {
      learn->filtered.others = true; /* it may make a call before it stops */
      ptrace(PTRACE_INTERRUPT, other->tid, NULL, 0);
    }
    other->plain = true;
    other->filtered = false;
  }
  if (directory) closedir(directory);
  learn->filtered.programs_own = true;
  task->plain = true;
  task->filtered = false;
}
