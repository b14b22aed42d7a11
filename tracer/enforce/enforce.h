/* The state of one enforce run. */
#ifndef ENFORCE_H
#define ENFORCE_H

#include "base/journal.h"
#include "filters/filters.h"
#include "ptrace/join.h"
#include "ptrace/tasks.h"
#include "ptrace/wait.h"

/* INSTALL_PRESENT: the runtime loads them itself; see only that they are there. INSTALL_WITHIN: it compiles them itself; see that they let
   nothing pass that ours refuse. */
enum install { INSTALL_AUTO, INSTALL_EARLY, INSTALL_EXEC, INSTALL_PRESENT, INSTALL_WITHIN };

static inline bool install_by_runtime(enum install install) {
  return install == INSTALL_PRESENT || install == INSTALL_WITHIN;
}

struct enforce {
  pid_t init;       /* the container's; or a process that joins it */
  struct join join; /* runtime 0: the process is there already */
  struct filter filters[FILTERS_MAX];
  int count;
  enum install install; /* INSTALL_AUTO is decided before the hook returns */
  bool allow_no_new_privs;
  bool log;
  const char *journal;
  const char *container; /* for the journal; NULL: not said */
  enum journal_level journal_level;
  struct tasks tasks;
  int before; /* programs that were in the process before ours; -1: unknown */
};

/* The death of this process kills the container (EXITKILL): a filter that is suspended must not be lost sight of.
   What the runtime's init forks is traced too, because it inherits the filters and must have them suspended. */
#define ENFORCE_OPTIONS                                                                                        \
  (PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | \
   PTRACE_O_TRACEVFORK)

enum { ENFORCE_PATIENCE = 10 /* seconds for each step with the container's process */ };

/* All that is done before the hook returns, for an enforce whose programs are loaded. Returns the exit status; on failure a
   message has been printed and journalled. */
int enforce_start(struct enforce *enforce);

/* Install the programs now, suspended, in the process and all its threads. NULL, or what went wrong with errno in
   *error (EACCES: neither CAP_SYS_ADMIN nor NO_NEW_PRIVS there, and nothing was changed). */
const char *install_early(struct enforce *enforce, int *error);

/* The same in a process that has one thread and is in PTRACE_EVENT_STOP, where it stays. */
const char *install_suspended(struct enforce *enforce, int *error);

/* Install them at the PTRACE_EVENT_EXEC stop of the program. NULL, or what went wrong. */
const char *install_at_exec(struct enforce *enforce);

/* Hold the process until its program starts, see the filters into force and let go. */
void guard(struct enforce *enforce);

/* The process is at the PTRACE_EVENT_EXEC stop of its program: check what was installed early, or install now, and let go
   with the filters in force. NULL, or what went wrong: it must die. */
const char *guard_start_program(struct enforce *enforce);

/* Detach a stopped tracee, its filters in force from now on. */
void guard_let_go(const struct wait_report *report);

#endif
