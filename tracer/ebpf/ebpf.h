/* Watching with eBPF: five programs on raw tracepoints count the system calls of the tasks that are in a table, and keep that
   table. All state is in maps, which the tracer reads from time to time: there is no queue that could overflow. */
#ifndef EBPF_H
#define EBPF_H

#include "arch/arch.h"
#include "learn/combinations.h"
#include "learn/paths.h"
#include "learn/record.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum ebpf_program {
  EBPF_ENTER,    /* sys_enter: counts */
  EBPF_LEAVE,    /* sys_exit: counts calls that were denied, for which there is no sys_enter */
  EBPF_NEW_TASK, /* task_newtask: what a watched task creates is watched */
  EBPF_END_TASK, /* sched_process_exit */
  EBPF_EXEC,     /* sched_process_exec: the first one of the container's init begins the watch */
  EBPF_CAPTURE,      /* sys_exit: what calls with paths name */
  EBPF_CAPTURE_EXEC, /* sched_process_exec: which program */
  EBPF_ADOPT,    /* on no tracepoint: run by a task, it watches that task */
  EBPF_PROGRAMS,
};

enum { EBPF_SLOTS = ARCH_ABIS_MAX * RECORD_NUMBERS };

/* A row of counts, by ABI and number: a call's slot is abi * RECORD_NUMBERS + nr. ebpf_open() sets EBPF_ARGUMENTS in the slots of
   calls whose arguments are recorded: so nothing else must be looked at to find that they are not. */
#define EBPF_ARGUMENTS (1ull << 63)
struct ebpf_counts {
  uint64_t slots[EBPF_SLOTS];
  /* The task that the processor saw last, and whether it is watched: spares the look into the table. Void if `changes` of
     the state is another now. */
  uint64_t task, changes, watched;
};

/* Each processor has a row. Two more follow them. */
enum {
  EBPF_DENIED, /* calls that were denied */
  EBPF_UNSURE, /* denied, or begun before anybody looked for denied calls: a call that is nowhere else was denied */
  EBPF_MORE_ROWS,
};

/* What of a call's arguments is recorded, by slot. */
struct ebpf_wanted {
  uint32_t any;          /* written by the tracer: 1: something is */
  uint32_t bits[6];      /* written by the tracer: of each argument */
  uint32_t combinations; /* that there are; more than COMBINATIONS_OF_ONE: too many to keep */
};
enum { EBPF_TOO_MANY = 1 << 30 };

/* A combination that was seen; without `state` it is a key of the table that tells whether it was. */
struct ebpf_combination {
  uint32_t slot, values[6]; /* those that are not recorded are 0 */
  uint32_t state;
};
enum { EBPF_EMPTY, EBPF_WRITTEN, EBPF_TAKEN /* by the tracer */ };
enum { EBPF_KEY = 28 };

/* What is to be captured of a call, written by the tracer: by slot, and one more for an execve that succeeded. */
enum ebpf_step {
  EBPF_STEP_NONE,
  EBPF_STEP_TEXT,    /* the string whose address is argument `place` */
  EBPF_STEP_BASE,    /* where that path begins: the root, or what the descriptor in argument `place` leads to, or the working directory */
  EBPF_STEP_WORKING, /* the same, without an argument */
  EBPF_STEP_ROOT,    /* the root, whatever came before */
  EBPF_STEP_OPENED,  /* what the result leads to */
  EBPF_STEP_BYTES,   /* memory at argument `place`, `size` bytes */
  EBPF_STEP_ADDRESS, /* memory at argument `place`, as many bytes as argument `size` says */
  EBPF_STEP_HEADERS, /* as many struct msghdr at argument `place` as argument `size` says, and the addresses that they name */
  EBPF_STEP_NARROW_HEADERS, /* ... of a 32-bit ABI */
  EBPF_STEP_SOCKETCALL, /* what socketcall(2) is called with, and addresses, as above */
  EBPF_STEP_KERNEL_TEXT, /* the string that is in the kernel's memory */
  EBPF_STEP_EXECUTED,    /* the file that the task executes */
};
enum { EBPF_STEPS = 4 };
struct ebpf_shape {
  uint32_t condition;         /* 1 more than the index of an argument that must not be 0 */
  uint32_t steps[EBPF_STEPS]; /* enum ebpf_step, place << 8, size << 16 (an argument: 1 more than its index, 0: the number 1) */
  uint32_t spare[3];
};

/* What the programs capture, in pieces: those of a call are followed by one with EBPF_CALL_END. A processor's pieces have numbers. */
enum ebpf_piece { EBPF_PIECE_TEXT, EBPF_PIECE_LINK, EBPF_PIECE_BYTES, EBPF_PIECE_END };
enum { EBPF_PIECE_DATA = 4096, EBPF_PIECE_SPARE = 256, EBPF_ADDRESS = 128 /* struct sockaddr_storage */, EBPF_HEADERS = 8 };
struct ebpf_capture {
  uint64_t key;     /* an address, a descriptor or one of the names below; at the end, the result */
  uint32_t piece;   /* enum ebpf_piece */
  uint32_t length;  /* of the data */
  uint32_t processor;
  uint32_t number;
  uint32_t slot;
  uint32_t deleted; /* of a link: the file has no name any more */
  char data[EBPF_PIECE_DATA + EBPF_PIECE_SPARE];
};
enum { EBPF_RING = 16 << 20 /* bytes */ };

/* In place of a descriptor. */
enum { EBPF_ROOT = -1000, EBPF_WORKING = -100 /* AT_FDCWD */, EBPF_EXECUTED = -1001 };

/* Written by the programs, except as said. */
struct ebpf_state {
  uint64_t started;    /* the program's execve has been seen */
  uint64_t filtered;   /* some task may have a seccomp filter: entries say which call a task is in. Also set by the tracer */
  uint64_t changes;    /* of the table of tasks */
  uint64_t sights;     /* grows with each first sight (on a processor): then the counts are worth reading */
  uint64_t born;       /* tasks that were ever in the table */
  uint64_t live;       /* tasks that are */
  uint64_t lost_tasks; /* for which the table had no room */
  uint64_t lost_calls;
  uint64_t captures;     /* calls that were captured */
  uint64_t combinations; /* that were written; beyond COMBINATIONS_MOST: that were not */
};

/* The value of a call whose number is RECORD_NUMBERS or more. */
struct ebpf_odd {
  uint64_t count, denied;
};

struct ebpf_layout;
struct ebpf {
  int tasks;  /* hash: address of a task's struct task_struct -> the call that it is in, see below */
  int counts; /* array of struct ebpf_counts, see above */
  int odd;    /* hash: abi << 32 | nr -> struct ebpf_odd */
  int state;  /* array of one struct ebpf_state */
  int combinations; /* hash: the key of a struct ebpf_combination -> nothing; these three are -1 without --arguments */
  int journal;      /* array of struct ebpf_combination, in the order of their first sights */
  int wanted;       /* array of one: EBPF_SLOTS struct ebpf_wanted */
  int shapes;       /* array of one: EBPF_SLOTS + 1 struct ebpf_shape; these three are -1 without --paths */
  int pieces;       /* array of struct ebpf_capture, by processor */
  int ring;
  const struct ebpf_layout *layout;
  int programs[EBPF_PROGRAMS];
  int links[EBPF_PROGRAMS];
  bool direct;         /* the kernel has BTF of its own, so programs may read its structures without a helper */
  unsigned processors;
  volatile struct ebpf_counts *all_counts;
  volatile struct ebpf_state *all_state;
  volatile struct ebpf_combination *all_combinations;
  volatile struct ebpf_wanted *all_wanted;
  volatile struct ebpf_shape *all_shapes;
  struct ebpf_pieces *reader; /* ebpf/pieces.c */
  uint64_t sights; /* those that have been read */
  uint32_t taken;  /* combinations before this one have been read */
  bool early;      /* some call could not be recorded yet */
};

/* In place of a call, abi << 32 | nr, in a task's entry; as 64-bit numbers. */
enum {
  EBPF_NO_CALL = -1,  /* in none */
  EBPF_ANY_CALL = -2, /* in the clone or execve that it comes out of, which is not its own */
  EBPF_UNKNOWN = -3,  /* nobody has looked yet */
};

enum { EBPF_TASKS = 16384 /* live tasks that there is room for, if nothing else is asked for */ };

/* Load and attach for a container whose init is `init`, and prove in a child process that calls of each ABI, their arguments, new
   tasks, ends and denied calls are recorded as they should. Where that fails, the reason is in `reason` and nothing is left behind.
   The watch begins at the next execve of init. */
struct ebpf_options {
  pid_t init;
  uint32_t tasks;                          /* room for so many at a time */
  const struct combinations *combinations; /* arguments are recorded if these are wanted */
  const struct paths *paths;               /* the same */
};
bool ebpf_open(struct ebpf *ebpf, const struct ebpf_options *options, char *reason, size_t size);

/* Stop watching. Ends with the process as well. */
void ebpf_close(struct ebpf *ebpf);

/* Look for denied calls from now on, or no longer. ebpf_open() has begun it. */
bool ebpf_attach_leave(struct ebpf *ebpf);
void ebpf_detach_leave(struct ebpf *ebpf);

/* Times that the kernel skipped one of the programs: for calls, or for tasks. */
void ebpf_misses(const struct ebpf *ebpf, uint64_t *calls, uint64_t *tasks);

/* How many calls have been counted; without those whose numbers no kernel knows. */
uint64_t ebpf_calls(const struct ebpf *ebpf);

/* Bring the record up to date. Cheap if there was no first sight since, unless `all`: the last time. Returns whether something is
   to be read again soon. */
bool ebpf_read(struct ebpf *ebpf, struct record *record, struct combinations *combinations, bool all);

/* Facts about paths, as far as there are new ones; returns whether there were. The last time it writes the line of what is missing. */
bool ebpf_paths_read(struct ebpf *ebpf, struct paths *paths);
void ebpf_paths_finish(struct ebpf *ebpf, struct paths *paths);

/* The parts of ebpf_open() */
void ebpf_paths_want(struct ebpf *ebpf, const struct paths *paths);
struct ebpf_code;
union bpf_attr;
bool ebpf_write_program(enum ebpf_program which, const struct ebpf *ebpf, pid_t init, struct ebpf_code *code);
bool ebpf_self_test(struct ebpf *ebpf, char *reason, size_t size);
void ebpf_want(struct ebpf *ebpf, const struct arch_call *call, uint8_t mask); /* record these arguments from now on; at first none are */
bool ebpf_forget(struct ebpf *ebpf);                                             /* all that was seen, and what is wanted */
uint64_t ebpf_count(const struct ebpf *ebpf, int slot, uint64_t *denied);        /* with those that were denied */
int ebpf_call_kernel(int command, union bpf_attr *attributes);
bool ebpf_adopt_caller(const struct ebpf *ebpf);

#endif
