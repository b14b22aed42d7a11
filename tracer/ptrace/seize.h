/* Attaching to a whole process. */
#ifndef SEIZE_H
#define SEIZE_H

#include "ptrace/tasks.h"

struct seize_failure {
  pid_t tid;
  int error;    /* errno */
  pid_t tracer; /* the tracer that is there already, or 0 */
};

/* PTRACE_SEIZE every thread of the process, and look again until there is none left that is not ours; none of them is
   stopped by it. Adds them to `tasks`. */
bool seize_process(pid_t pid, unsigned long options, struct tasks *tasks, struct seize_failure *failure);

#endif
