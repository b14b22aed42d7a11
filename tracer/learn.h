/* The state of one learn run. */
#ifndef LEARN_H
#define LEARN_H

#include "combinations.h"
#include "digest.h"
#include "join.h"
#include "record.h"
#include "tasks.h"
#include "wait.h"

enum learn_backend { LEARN_AUTO, LEARN_EBPF, LEARN_PTRACE_SYSCALL };

struct learn {
  pid_t init; /* the container's init, thread-group id; with a runtime that joins it, the program that this starts there */
  struct join join; /* runtime 0: none */
  enum learn_backend backend; /* never LEARN_AUTO */
  struct stream stream;
  struct record record;
  struct combinations combinations;
  struct tasks tasks;
  struct digest digest;
  char exe[4352]; /* of the program, PATH_MAX and " (deleted)" */

  bool recording;      /* the program's execve has been seen */
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

/* Lines of the stream (learn.c) */
void learn_line_exec(struct learn *learn);
void learn_line_program(struct learn *learn, const char *sha256);
void learn_line_warn(struct learn *learn, const char *code, pid_t tid);
void learn_line_init_exit(struct learn *learn, uint64_t tasks); /* that live on */
void learn_line_finish(struct learn *learn, const char *reason);

#endif
