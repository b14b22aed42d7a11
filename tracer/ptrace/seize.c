#include "ptrace/seize.h"

#include "base/kernel.h"
#include "base/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PASSES_MAX = 1000 };

enum outcome { OURS, GONE, FAILED };

static enum outcome seize_thread(pid_t tid, unsigned long options, struct seize_failure *failure) {
  if (ptrace(PTRACE_SEIZE, tid, NULL, options) == 0) return OURS;
  *failure = (struct seize_failure){.tid = tid, .error = errno};
  if (errno == ESRCH) return GONE;
  if (errno != EPERM) return FAILED;
  /* EPERM has three meanings: no right; traced already, perhaps by us because a thread that we had seized created it
     (PTRACE_O_TRACECLONE); or the thread has just ended. */
  int64_t tracer = procfs_status_number(tid, "TracerPid");
  if (tracer == getpid()) return OURS;
  char state = procfs_state(tid);
  if (state == 0 || state == 'Z' || state == 'X') return GONE;
  failure->tracer = tracer > 0 ? (pid_t)tracer : 0;
  return FAILED;
}

/* One look at the list of threads. Returns the number of new ones, or -1. */
static int pass(pid_t pid, unsigned long options, struct tasks *tasks, struct seize_failure *failure) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *directory = opendir(path);
  if (!directory) {
    *failure = (struct seize_failure){.tid = pid, .error = errno == ENOENT ? ESRCH : errno};
    return -1;
  }
  int added = 0;
  struct dirent *entry;
  while (added >= 0 && (entry = readdir(directory))) {
    pid_t tid = atoi(entry->d_name);
    if (tid <= 0 || tasks_find(tasks, tid)) continue;
    switch (seize_thread(tid, options, failure)) {
      case OURS:
        if (tasks_add(tasks, tid)) {
          added++;
        } else {
          *failure = (struct seize_failure){.tid = tid, .error = ENOMEM};
          added = -1;
        }
        break;
      case GONE:
        break;
      case FAILED:
        added = -1;
    }
  }
  closedir(directory);
  return added;
}

/* A thread that is not ours yet can create others while the list is read, so a pass that finds nothing new must follow.
   From then on all threads are ours and their children attach themselves (PTRACE_O_TRACECLONE). */
bool seize_process(pid_t pid, unsigned long options, struct tasks *tasks, struct seize_failure *failure) {
  for (int n = 0; n < PASSES_MAX; n++) {
    int added = pass(pid, options, tasks, failure);
    if (added < 0) return false;
    if (added > 0) continue;
    if (tasks->count > 0) return true;
    *failure = (struct seize_failure){.tid = pid, .error = ESRCH};
    return false;
  }
  *failure = (struct seize_failure){.tid = pid, .error = EAGAIN};
  return false;
}
