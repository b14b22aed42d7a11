/* Stops at system calls: what is recorded, and what becomes of clone, fork and vfork. */
#include "base/kernel.h"
#include "learn/filtered.h"
#include "learn/follow.h"

#include <errno.h>
#include <sys/uio.h>

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
  struct task *task = follow_known(learn, tid);
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

static void begin_paths(struct learn *learn, struct task *task, const struct arch_call *call,
                        const unsigned long long values[6]) {
  if (task) paths_enter(&learn->paths, task, call, values);
  else if (paths_shape(&learn->paths, call)) learn->paths.facts.left++;
}

static void note_call(struct learn *learn, struct task *task, pid_t tid, const struct kernel_syscall_info *info) {
  struct arch_call call;
  if (!arch_decode(info->arch, info->entry.nr, &call)) {
    learn->record.lost++;
    return;
  }
  combinations_record(&learn->combinations, &learn->stream, &call, info->entry.args);
  record_call(&learn->record, &call);
  if (learn->paths.wanted) begin_paths(learn, task, &call, info->entry.args);
  learn_show(learn);
  if (learn->events.wanted && task) events_enter(&learn->events, task, &call, info->entry.args);
  else if (learn->events.wanted) learn->events.failed++;
  enum arch_clone kind = arch_clone_kind(&call);
  if (kind != ARCH_NO_CLONE) begin_clone(learn, tid, kind, info->entry.args[0]);
  if (task && arch_sets_filter(&call, info->entry.args[0]))
    filtered_yield(learn, task, info->entry.args[1] & SECCOMP_FILTER_FLAG_TSYNC);
}

/* Results that make the kernel restart a call (ERESTARTSYS to ERESTART_RESTARTBLOCK, include/linux/errno.h). */
static bool is_restart(int64_t result) { return result <= -512 && result >= -516; }

/* The hot path: nothing here allocates or does I/O, except at a first sight and around clone, fork and vfork. Which of a
   call's two stops this is can only be told by asking, but of the exits most need not be looked at (a tenth of the cost
   with threads): the stop that follows an entry, with no other report of the task between them, is its exit. */
void calls_on_syscall(struct learn *learn, pid_t tid) {
  struct kernel_syscall_info info;
  struct task *task = tasks_find(&learn->tasks, tid);
  if (task && task->inside && !task->cloning && !task->intent && !task->event && !filtered_due(learn, task)) {
    task->inside = false;
  } else if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) > 0) {
    if (task) task->inside = info.op == KERNEL_SYSCALL_ENTRY;
    if (info.op == KERNEL_SYSCALL_ENTRY) {
      note_call(learn, task, tid, &info);
    } else if (info.op == KERNEL_SYSCALL_EXIT) {
      if (task && task->event) events_leave(&learn->events, task, info.exit.rval);
      if (task && task->intent) paths_leave(&learn->paths, task, info.exit.rval, info.exit.is_error);
      if (learn->cloning > 0) finish_clone(learn, tid, info.exit.rval, info.exit.is_error);
      if (filtered_due(learn, task) && !is_restart(info.exit.rval)) filtered_give(learn, task);
    }
  } else if (errno != ESRCH) {
    learn->record.lost++; /* EIO: Linux before 5.3. A run that lost calls is never complete. */
  }
  follow_resume(learn, task, tid, 0);
}

/* A program's own filter that asks for a tracer (SECCOMP_RET_TRACE) would, without us, make the call fail with ENOSYS. */
static bool is_ours(pid_t tid) {
  unsigned long mark;
  return ptrace(PTRACE_GETEVENTMSG, tid, NULL, &mark) != 0 || mark == ALLOW_MARK;
}

/* Our filter stops a task before a call. If the task is stopped at each call anyway, that stop came first. */
void calls_on_seccomp(struct learn *learn, pid_t tid) {
  struct kernel_syscall_info info;
  struct task *task = tasks_find(&learn->tasks, tid);
  if (learn->recording && !(task && (task->inside || task->foreign))) {
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) > 0) {
      note_call(learn, task, tid, &info);
      /* A call whose end must be seen, too: the next stop is its exit. */
      if (task && (!task->filtered || task->intent)) task->inside = true;
    } else if (errno != ESRCH) {
      learn->record.lost++;
    }
  } else if (task && task->inside && !is_ours(tid)) {
    arch_refuse_call(tid);
  }
  follow_resume(learn, task, tid, 0);
}
