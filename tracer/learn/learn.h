/* The state of one learn run. */
#ifndef LEARN_H
#define LEARN_H

#include "filters/allow.h"
#include "learn/combinations.h"
#include "learn/digest.h"
#include "learn/events.h"
#include "learn/live.h"
#include "learn/paths.h"
#include "learn/record.h"
#include "ptrace/join.h"
#include "ptrace/tasks.h"
#include "ptrace/wait.h"

/* README.md says what each guarantees. Those after LEARN_PTRACE_SYSCALL use filters (filtered.c). */
enum learn_backend {
  LEARN_AUTO,
  LEARN_EBPF,
  LEARN_PTRACE_SYSCALL,
  LEARN_PTRACE_TRACE,
  LEARN_PTRACE_ADAPTIVE,
  LEARN_PTRACE_KNOWN,
  LEARN_BACKENDS,
};

/* The record and the policy name them so. */
extern const char *const learn_backend_names[LEARN_BACKENDS];

/* What the filters of a run are and where it stands with them. */
struct filtered {
  struct allow pass;         /* calls that need not be watched: LEARN_PTRACE_KNOWN, those of --known */
  bool automatic;            /* the backend was chosen by us: rather slow than with less to see */
  bool allow_no_new_privs;   /* NO_NEW_PRIVS may be set in the container for the sake of a filter */
  uint64_t patience;         /* LEARN_PTRACE_ADAPTIVE: calls without a first sight that must pass before a filter */
  bool early;                /* the filter was installed before the program, and its tasks inherit it */
  bool off;                  /* no filter of ours shall watch */
  int64_t before;            /* filters that init had when its program started, ours left out */
  uint64_t installed;        /* filters that were put in */
  bool passed;               /* some calls pass unseen */
  bool programs_own;         /* a task has set a filter of its own */
  bool others;               /* tasks that our filter watches have another one too, whose refusals are not seen */
};

struct learn {
  pid_t init; /* the container's init, thread-group id; with a runtime that joins it, the program that this starts there */
  struct join join; /* runtime 0: none */
  enum learn_backend backend; /* never LEARN_AUTO */
  struct filtered filtered;
  struct stream stream;
  struct record record;
  volatile struct live *live;
  struct combinations combinations;
  struct paths paths;
  struct events events;
  struct tasks tasks;
  struct digest digest;
  char exe[4352]; /* of the program, PATH_MAX and " (deleted)" */

  bool recording;      /* the program's execve has been seen */
  bool finished;       /* the last line is written; what is left are the runtime's hooks */
  bool init_ended;
  struct wait_report init_end; /* WAIT_STOPPED: its exit status could not be had */
  uint64_t born;       /* tasks that were recorded in all */
  uint64_t escaped;    /* tasks that were born untraced */
  uint64_t lost_tasks; /* tasks for which there was no memory */
  size_t cloning;      /* tasks between entry and exit of a clone-like call */
};

/* Follow the container until its last task has ended. Lines are written on the way, "finish" included. */
void learn_follow(struct learn *learn);

/* The same with eBPF. The process is traced until its program starts, but not from then on. Calls that a filter denies are
   looked for if `denied`, or once there may be a filter. */
struct ebpf;
void learn_follow_ebpf(struct learn *learn, struct ebpf *ebpf, bool denied);

/* For whoever looks meanwhile: the calls that the record has. */
static inline void learn_show(struct learn *learn) {
  learn->live->calls = learn->record.calls;
  learn->live->lost = learn->record.lost + learn->escaped + learn->lost_tasks;
  learn->live->partial = learn->filtered.passed;
}

/* Lines of the stream (lines.c). False: it could not be written. */
bool learn_line_hello(struct learn *learn, const char *run_id);
bool learn_line_no_ebpf(struct learn *learn, const char *reason);
bool learn_line_attached(struct learn *learn);
void learn_line_exec(struct learn *learn);
void learn_line_program(struct learn *learn, const char *sha256);
void learn_line_known(struct learn *learn, int abi);
void learn_line_warn(struct learn *learn, const char *code, pid_t tid);
void learn_line_init_exit(struct learn *learn, uint64_t tasks); /* that live on */
void learn_line_finish(struct learn *learn, const char *reason);

#endif
