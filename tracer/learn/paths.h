/* Calls that name files or addresses (--paths): what they name is read at their entry, and recorded with their result at their exit. */
#ifndef PATHS_H
#define PATHS_H

#include "arch/arch.h"
#include "learn/facts.h"
#include "ptrace/tasks.h"

enum { PATHS_NUMBERS = 1024, PATHS_SHAPES = 128, PATHS_OPERANDS = 2 };

/* What some of a call's arguments are: README.md, "learn: paths". A place is an argument's index, or -1. */
struct paths_operand {
  char letter;
  int8_t places[3];
};

struct paths_shape {
  unsigned count;
  struct paths_operand operands[PATHS_OPERANDS];
};

struct paths {
  bool wanted;
  uint8_t shapes[ARCH_ABIS_MAX][PATHS_NUMBERS]; /* 0: none; otherwise 1 more than the index of: */
  struct paths_shape kinds[PATHS_SHAPES];
  unsigned used;
  struct facts facts;
};

/* "ABI:NUMBER:OPERANDS,...". False: it is something else. */
bool paths_parse(struct paths *paths, const char *text);

/* The call's shape; NULL: it names nothing. */
const struct paths_shape *paths_shape(const struct paths *paths, const struct arch_call *call);

/* If the call names something only when one of its arguments is not null: that argument's index, otherwise -1. */
int paths_condition(const struct paths_shape *shape);

/* At the entry of a call. If its end must be seen, task->intent is set. */
void paths_enter(struct paths *paths, struct task *task, const struct arch_call *call, const unsigned long long values[6]);

/* At its exit, and at the PTRACE_EVENT_EXEC stop of a task that was `former` when it entered execve. */
void paths_leave(struct paths *paths, struct task *task, int64_t result, bool failed);
void paths_executed(struct paths *paths, struct task *former, pid_t tid);

/* It is not known how the call ends, or it begins again. */
void paths_drop(struct task *task);

#endif
