/* Filters that let the calls pass which need no look, and stop the container's tasks for us at all others. */
#ifndef FILTERED_H
#define FILTERED_H

#include "learn/learn.h"
#include "ptrace/seize.h"

enum { FILTERED_PATIENCE = 10 /* seconds for each step with the runtime's init */ };

/* Attach to the process, and, where the backend wants its filter in force from the program's first instruction on, install it. On failure
   nothing of it is left but tracees. */
bool filtered_attach(struct learn *learn, struct seize_failure *failure);

/* At the start of the program. `task` is init's. */
void filtered_begin(struct learn *learn, struct task *task);

/* Shall the task get a filter now? It has to be in a syscall-exit stop whose call is not going to be restarted. */
static inline bool filtered_due(const struct learn *learn, const struct task *task) {
  if (learn->backend == LEARN_PTRACE_SYSCALL || !task || task->filtered || task->plain || learn->filtered.off) return false;
  return learn->filtered.installed > 0 || learn->record.quiet >= learn->filtered.patience;
}
void filtered_give(struct learn *learn, struct task *task);

/* At a stop (PTRACE_EVENT_* or 0) of a task that was given a filter while it ran. */
void filtered_settle(const struct learn *learn, struct task *task, int event);

/* A task was born. */
void filtered_inherit(const struct task *parent, struct task *child);

/* A task is about to set a filter of its own, for itself or its process. Our filter would not see what that refuses: from now on the task is
   stopped at each call. */
void filtered_yield(struct learn *learn, struct task *task, bool all_threads);

#endif
