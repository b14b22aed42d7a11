/* Watching with eBPF: five programs on raw tracepoints count the system calls of the tasks that are in a table, and keep that
   table. All state is in maps, which the tracer reads from time to time: there is no queue that could overflow. */
#ifndef EBPF_H
#define EBPF_H

#include "arch.h"
#include "record.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum ebpf_program {
  EBPF_ENTER,    /* sys_enter: counts */
  EBPF_LEAVE,    /* sys_exit: counts calls that were denied, for which there is no sys_enter */
  EBPF_NEW_TASK, /* task_newtask: what a watched task creates is watched */
  EBPF_END_TASK, /* sched_process_exit */
  EBPF_EXEC,     /* sched_process_exec: the first one of the container's init begins the watch */
  EBPF_ADOPT,    /* on no tracepoint: run by a task, it watches that task */
  EBPF_PROGRAMS,
};

enum { EBPF_SLOTS = ARCH_ABIS_MAX * RECORD_NUMBERS };

/* The counts of one processor: by ABI and number. A call's slot is abi * RECORD_NUMBERS + nr. */
struct ebpf_counts {
  uint64_t slots[EBPF_SLOTS];
};

/* Written by the programs, except as said. */
struct ebpf_state {
  uint64_t started;    /* the program's execve has been seen */
  uint64_t filtered;   /* some task may have a seccomp filter: EBPF_LEAVE has work to do. Also set by the tracer */
  uint64_t sights;     /* grows with each first sight (on a processor): then the counts are worth reading */
  uint64_t born;       /* tasks that were ever in the table */
  uint64_t live;       /* tasks that are */
  uint64_t lost_tasks; /* for which the table had no room */
  uint64_t lost_calls;
};

/* The value of a call whose number is RECORD_NUMBERS or more. */
struct ebpf_odd {
  uint64_t count, denied;
};

struct ebpf {
  int tasks;  /* hash: address of a task's struct task_struct -> the call that it is in, see below */
  int counts; /* array: one struct ebpf_counts for each processor, and after them one for denied calls */
  int odd;    /* hash: abi << 32 | nr -> struct ebpf_odd */
  int state;  /* array of one struct ebpf_state */
  int programs[EBPF_PROGRAMS];
  int links[EBPF_PROGRAMS];
  unsigned processors;
  volatile struct ebpf_counts *all_counts; /* processors + 1 of them */
  volatile struct ebpf_state *all_state;
  uint64_t sights; /* those that have been read */
};

/* In place of a call, abi << 32 | nr, in a task's entry. */
#define EBPF_NO_CALL UINT64_MAX          /* in none */
#define EBPF_ANY_CALL (UINT64_MAX - 1)   /* in one that is not known, or not to be counted */

enum { EBPF_TASKS = 16384 /* live tasks that there is room for, if nothing else is asked for */ };

/* Load and attach for a container whose init is `init`, and prove in a child process that calls of each ABI, new tasks, ends and
   denied calls are counted as they should. Where that fails, the reason is in `reason` and nothing is left behind. The watch
   begins at the next execve of init. */
bool ebpf_open(struct ebpf *ebpf, pid_t init, uint32_t tasks, char *reason, size_t size);

/* Stop watching. Ends with the process as well. */
void ebpf_close(struct ebpf *ebpf);

/* Times that the kernel skipped one of the programs: for calls, or for tasks. */
void ebpf_misses(const struct ebpf *ebpf, uint64_t *calls, uint64_t *tasks);

/* Bring the record up to date. Cheap if there was no first sight since, unless `all`. */
void ebpf_read(struct ebpf *ebpf, struct record *record, bool all);

/* The parts of ebpf_open() */
struct ebpf_code;
bool ebpf_write_program(enum ebpf_program which, const struct ebpf *ebpf, pid_t init, struct ebpf_code *code);
bool ebpf_self_test(struct ebpf *ebpf, char *reason, size_t size);
bool ebpf_adopt_caller(const struct ebpf *ebpf);

#endif
