/* The eBPF programs. They run with preemption disabled or guarded against running twice on one processor at a time (the
   kernel counts what it skips for that, ebpf_misses()), so a processor's own counts need no atomic instructions.

   Tasks are known by the address of their struct task_struct: it is the same in all pid namespaces, before and after an exec
   by a thread that is not the leader, and cannot belong to another task before sched_process_exit has taken it out of the
   table. */
#include "ebpf.h"
#include "ebpf_code.h"

#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

/* Registers that keep their values over calls of helpers. */
enum { NUMBER = BPF_REG_6, TASK = BPF_REG_7, ABI = BPF_REG_8, ROW = BPF_REG_9 };

/* The stack, below r10. */
enum { TASK_KEY = -8, SCRATCH = -16, CALL = -24, ZEROS = -40, REGS = -48 };

enum label {
  OUT = 1, LOST, FIRST, NAMED, ODD, ODD_FOUND, COMPAT, FILTER, NO_FILTER, WATCHED, MISS, UNFILTERED, KNOWN, COUNT, FULL,
  UNWATCHED, FRESH,
};

static void add_to_state(struct ebpf_code *code, const struct ebpf *ebpf, size_t field, int32_t value) {
  ebpf_map_value(code, BPF_REG_1, ebpf->state, (int)field);
  ebpf_set(code, BPF_REG_2, value);
  ebpf_atomic_add(code, BPF_REG_1, 0, BPF_REG_2);
}

static void set_in_state(struct ebpf_code *code, const struct ebpf *ebpf, size_t field) {
  ebpf_map_value(code, BPF_REG_1, ebpf->state, (int)field);
  ebpf_set(code, BPF_REG_2, 1);
  ebpf_store(code, EBPF_64, BPF_REG_1, 0, BPF_REG_2);
}

/* r0 = the value in `map` under the key at `key` on the stack, or 0. */
static void look_up(struct ebpf_code *code, int map, int key) {
  ebpf_map(code, BPF_REG_1, map);
  ebpf_move(code, BPF_REG_2, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_2, key);
  ebpf_call(code, BPF_FUNC_map_lookup_elem);
}

/* r0 = 0, or an error: `map` has no room. */
static void update(struct ebpf_code *code, int map, int key, int value, int flags) {
  ebpf_map(code, BPF_REG_1, map);
  ebpf_move(code, BPF_REG_2, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_2, key);
  ebpf_move(code, BPF_REG_3, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_3, value);
  ebpf_set(code, BPF_REG_4, flags);
  ebpf_call(code, BPF_FUNC_map_update_elem);
}

/* TASK = the current task, also at TASK_KEY. */
static void current_task(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_call(code, ebpf->direct ? BPF_FUNC_get_current_task_btf : BPF_FUNC_get_current_task);
  ebpf_move(code, TASK, BPF_REG_0);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK_KEY, TASK);
}

/* r1 = the four bytes at base + offset in kernel memory, or go LOST. */
static void read_kernel(struct ebpf_code *code, int base, int offset) {
  ebpf_move(code, BPF_REG_3, base);
  ebpf_do(code, BPF_ADD, BPF_REG_3, offset);
  ebpf_move(code, BPF_REG_1, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_1, SCRATCH);
  ebpf_set(code, BPF_REG_2, 4);
  ebpf_call(code, BPF_FUNC_probe_read_kernel);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, LOST);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_10, SCRATCH);
}

/* From NUMBER as the kernel has it: ABI, and NUMBER in that ABI's numbering. */
static void name_call(struct ebpf_code *code, const struct ebpf *ebpf) {
  const struct arch_kernel *kernel = &arch_kernel;
  if (ebpf->direct) ebpf_load(code, EBPF_32, BPF_REG_1, TASK, kernel->mode_offset);
  else read_kernel(code, TASK, kernel->mode_offset);
  ebpf_set(code, ABI, kernel->compat);
  ebpf_if(code, BPF_JSET, BPF_REG_1, kernel->mode_compat, NAMED);
  ebpf_set(code, ABI, kernel->native);
  if (kernel->alternate >= 0) {
    ebpf_if32(code, BPF_JSLT, NUMBER, kernel->alternate_bit, NAMED); /* negative numbers are nobody's: left as they are */
    ebpf_set(code, ABI, kernel->alternate);
    ebpf_do(code, BPF_ADD, NUMBER, -kernel->alternate_bit);
  }
  ebpf_label(code, NAMED);
  ebpf_truncate(code, NUMBER);
}

/* The call as one number at CALL, and in r1. */
static void join_call(struct ebpf_code *code) {
  ebpf_move(code, BPF_REG_1, ABI);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 32);
  ebpf_do_register(code, BPF_OR, BPF_REG_1, NUMBER);
  ebpf_store(code, EBPF_64, BPF_REG_10, CALL, BPF_REG_1);
}

/* ROW = the row of counts whose index is in r0; go LOST if there is none. */
static void find_row(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_store(code, EBPF_32, BPF_REG_10, SCRATCH, BPF_REG_0);
  look_up(code, ebpf->counts, SCRATCH);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, LOST);
  ebpf_move(code, ROW, BPF_REG_0);
}

/* ROW = the address of the call's count in the row. */
static void find_slot(struct ebpf_code *code) {
  ebpf_move(code, BPF_REG_1, ABI);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 10);
  ebpf_do_register(code, BPF_ADD, BPF_REG_1, NUMBER);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 3);
  ebpf_do_register(code, BPF_ADD, ROW, BPF_REG_1);
  _Static_assert(RECORD_NUMBERS == 1 << 10 && sizeof(uint64_t) == 1 << 3, "the shifts");
}

static void load_state(struct ebpf_code *code, const struct ebpf *ebpf, int to, size_t field) {
  ebpf_map_value(code, to, ebpf->state, (int)field);
  ebpf_load(code, EBPF_64, to, to, 0);
}

/* The count of a number that is RECORD_NUMBERS or more, in a table that has few places; goes OUT, or FIRST. */
static void count_odd(struct ebpf_code *code, const struct ebpf *ebpf, bool denied) {
  ebpf_label(code, ODD);
  join_call(code);
  look_up(code, ebpf->odd, CALL);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, ODD_FOUND);
  ebpf_set(code, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, ZEROS, BPF_REG_1);
  ebpf_store(code, EBPF_64, BPF_REG_10, ZEROS + 8, BPF_REG_1);
  update(code, ebpf->odd, CALL, ZEROS, BPF_NOEXIST); /* another processor may come first: whose entry it is does not matter */
  look_up(code, ebpf->odd, CALL);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, LOST);
  ebpf_label(code, ODD_FOUND);
  size_t field = denied ? offsetof(struct ebpf_odd, denied) : offsetof(struct ebpf_odd, count);
  ebpf_load(code, EBPF_64, BPF_REG_3, BPF_REG_0, (int)field);
  ebpf_set(code, BPF_REG_1, 1);
  ebpf_atomic_add(code, BPF_REG_0, (int)field, BPF_REG_1);
  ebpf_if(code, BPF_JNE, BPF_REG_3, 0, OUT);
  ebpf_jump(code, FIRST);
}

static void end_of_counting(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_label(code, LOST);
  add_to_state(code, ebpf, offsetof(struct ebpf_state, lost_calls), 1);
  ebpf_label(code, FIRST);
  add_to_state(code, ebpf, offsetof(struct ebpf_state, sights), 1);
  ebpf_label(code, OUT);
  ebpf_exit(code);
}

/* Is it a call that installs a filter (seccomp, or prctl with PR_SET_SECCOMP)? Then that is noted, before the call itself
   runs. Most calls have smaller numbers. */
static void note_filters(struct ebpf_code *code, const struct ebpf *ebpf) {
  const struct arch_kernel *kernel = &arch_kernel;
  ebpf_if(code, BPF_JLT, NUMBER, kernel->prctl, NO_FILTER);
  ebpf_if(code, BPF_JEQ, ABI, kernel->compat, COMPAT);
  ebpf_if(code, BPF_JEQ, NUMBER, kernel->seccomp, FILTER);
  ebpf_if(code, BPF_JNE, NUMBER, kernel->prctl, NO_FILTER);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, REGS);
  read_kernel(code, BPF_REG_1, kernel->regs_first);
  ebpf_if32(code, BPF_JEQ, BPF_REG_1, PR_SET_SECCOMP, FILTER);
  ebpf_jump(code, NO_FILTER);
  ebpf_label(code, COMPAT);
  ebpf_if(code, BPF_JEQ, NUMBER, kernel->compat_seccomp, FILTER);
  ebpf_if(code, BPF_JNE, NUMBER, kernel->compat_prctl, NO_FILTER);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, REGS);
  read_kernel(code, BPF_REG_1, kernel->regs_compat_first);
  ebpf_if32(code, BPF_JNE, BPF_REG_1, PR_SET_SECCOMP, NO_FILTER);
  ebpf_label(code, FILTER);
  set_in_state(code, ebpf, offsetof(struct ebpf_state, filtered));
  ebpf_label(code, NO_FILTER);
}

/* sys_enter(regs, number): the hot path. Where a processor goes on with the task that it saw last, nothing is looked up. */
static void write_enter(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, NUMBER, BPF_REG_1, 8);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, REGS, BPF_REG_1);
  current_task(code, ebpf);
  ebpf_call(code, BPF_FUNC_get_smp_processor_id);
  find_row(code, ebpf);
  load_state(code, ebpf, BPF_REG_2, offsetof(struct ebpf_state, changes));
  ebpf_load(code, EBPF_64, BPF_REG_1, ROW, offsetof(struct ebpf_counts, task));
  ebpf_if_register(code, BPF_JNE, BPF_REG_1, TASK, MISS);
  ebpf_load(code, EBPF_64, BPF_REG_1, ROW, offsetof(struct ebpf_counts, changes));
  ebpf_if_register(code, BPF_JNE, BPF_REG_1, BPF_REG_2, MISS);
  ebpf_load(code, EBPF_64, BPF_REG_1, ROW, offsetof(struct ebpf_counts, watched));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, 0, OUT);

  ebpf_label(code, WATCHED);
  name_call(code, ebpf);
  note_filters(code, ebpf);
  load_state(code, ebpf, BPF_REG_1, offsetof(struct ebpf_state, filtered));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, 0, UNFILTERED);
  join_call(code);
  look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, CALL);
  ebpf_store(code, EBPF_64, BPF_REG_0, 0, BPF_REG_1);
  ebpf_label(code, UNFILTERED);
  ebpf_if(code, BPF_JGE, NUMBER, RECORD_NUMBERS, ODD);
  find_slot(code);
  ebpf_load(code, EBPF_64, BPF_REG_1, ROW, 0);
  ebpf_move(code, BPF_REG_2, BPF_REG_1);
  ebpf_do(code, BPF_ADD, BPF_REG_2, 1);
  ebpf_store(code, EBPF_64, ROW, 0, BPF_REG_2);
  ebpf_if(code, BPF_JNE, BPF_REG_1, 0, OUT);
  ebpf_jump(code, FIRST);

  /* Which number of changes this is true for has been read before. */
  ebpf_label(code, MISS);
  ebpf_store(code, EBPF_64, ROW, offsetof(struct ebpf_counts, changes), BPF_REG_2);
  ebpf_store(code, EBPF_64, ROW, offsetof(struct ebpf_counts, task), TASK);
  ebpf_set(code, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, ROW, offsetof(struct ebpf_counts, watched), BPF_REG_1);
  look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  ebpf_set(code, BPF_REG_1, 1);
  ebpf_store(code, EBPF_64, ROW, offsetof(struct ebpf_counts, watched), BPF_REG_1);
  ebpf_jump(code, WATCHED);

  count_odd(code, ebpf, false);
  end_of_counting(code, ebpf);
}

/* sys_exit(regs, result): a call that the task did not enter was denied by a seccomp filter, which the kernel asks before
   sys_enter. After rt_sigreturn the number is -1. */
static void write_leave(struct ebpf_code *code, const struct ebpf *ebpf) {
  load_state(code, ebpf, BPF_REG_2, offsetof(struct ebpf_state, filtered));
  ebpf_if(code, BPF_JEQ, BPF_REG_2, 0, OUT);
  ebpf_load(code, EBPF_64, NUMBER, BPF_REG_1, 0); /* regs, for now */
  current_task(code, ebpf);
  look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  ebpf_move(code, ROW, BPF_REG_0); /* the task's entry, for now */
  read_kernel(code, NUMBER, arch_kernel.regs_number);
  ebpf_move(code, NUMBER, BPF_REG_1);
  ebpf_if32(code, BPF_JNE, NUMBER, -1, KNOWN);
  ebpf_set(code, BPF_REG_1, EBPF_NO_CALL);
  ebpf_store(code, EBPF_64, ROW, 0, BPF_REG_1);
  ebpf_jump(code, OUT);
  ebpf_label(code, KNOWN);
  name_call(code, ebpf);
  join_call(code);
  ebpf_load(code, EBPF_64, BPF_REG_2, ROW, 0);
  ebpf_set(code, BPF_REG_3, EBPF_NO_CALL);
  ebpf_store(code, EBPF_64, ROW, 0, BPF_REG_3);
  ebpf_if_register(code, BPF_JEQ, BPF_REG_1, BPF_REG_2, OUT);
  ebpf_if(code, BPF_JEQ, BPF_REG_2, EBPF_ANY_CALL, OUT);
  ebpf_set(code, BPF_REG_0, (int32_t)ebpf->processors + EBPF_UNSURE);
  ebpf_if(code, BPF_JEQ, BPF_REG_2, EBPF_UNKNOWN, COUNT);
  ebpf_set(code, BPF_REG_0, (int32_t)ebpf->processors + EBPF_DENIED);
  ebpf_label(code, COUNT);
  ebpf_if(code, BPF_JGE, NUMBER, RECORD_NUMBERS, ODD);
  find_row(code, ebpf);
  find_slot(code);
  ebpf_load(code, EBPF_64, BPF_REG_3, ROW, 0);
  ebpf_set(code, BPF_REG_1, 1);
  ebpf_atomic_add(code, ROW, 0, BPF_REG_1);
  ebpf_if(code, BPF_JNE, BPF_REG_3, 0, OUT);
  ebpf_jump(code, FIRST);
  count_odd(code, ebpf, true);
  end_of_counting(code, ebpf);
}

/* The task whose address is at TASK_KEY gets an entry, with r1 in it. */
static void watch(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_store(code, EBPF_64, BPF_REG_10, SCRATCH, BPF_REG_1);
  update(code, ebpf->tasks, TASK_KEY, SCRATCH, BPF_ANY);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, FULL);
  add_to_state(code, ebpf, offsetof(struct ebpf_state, changes), 1);
  add_to_state(code, ebpf, offsetof(struct ebpf_state, live), 1);
  add_to_state(code, ebpf, offsetof(struct ebpf_state, born), 1);
  ebpf_jump(code, OUT);
  ebpf_label(code, FULL);
  add_to_state(code, ebpf, offsetof(struct ebpf_state, lost_tasks), 1);
  ebpf_label(code, OUT);
  ebpf_exit(code);
}

/* task_newtask(task, flags), in the parent, before the child first runs */
static void write_new_task(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, NUMBER, BPF_REG_1, 0);
  current_task(code, ebpf);
  look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK_KEY, NUMBER);
  load_state(code, ebpf, BPF_REG_2, offsetof(struct ebpf_state, filtered));
  ebpf_set(code, BPF_REG_1, EBPF_ANY_CALL);
  ebpf_if(code, BPF_JNE, BPF_REG_2, 0, FRESH);
  ebpf_set(code, BPF_REG_1, EBPF_UNKNOWN); /* as long as there is no filter nobody looks at the ends of its calls */
  ebpf_label(code, FRESH);
  watch(code, ebpf);
}

/* sched_process_exit(task, ...): it makes no further call */
static void write_end_task(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK_KEY, BPF_REG_1);
  ebpf_map(code, BPF_REG_1, ebpf->tasks);
  ebpf_move(code, BPF_REG_2, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_2, TASK_KEY);
  ebpf_call(code, BPF_FUNC_map_delete_elem);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, OUT);
  add_to_state(code, ebpf, offsetof(struct ebpf_state, changes), 1);
  add_to_state(code, ebpf, offsetof(struct ebpf_state, live), -1);
  ebpf_label(code, OUT);
  ebpf_exit(code);
}

/* sched_process_exec(task, ...): from a 64-bit program to a 32-bit one the call's number is another at its end than at its
   beginning */
static void write_exec(struct ebpf_code *code, const struct ebpf *ebpf, pid_t init) {
  current_task(code, ebpf);
  look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, UNWATCHED);
  ebpf_set(code, BPF_REG_1, EBPF_ANY_CALL);
  ebpf_store(code, EBPF_64, BPF_REG_0, 0, BPF_REG_1);
  ebpf_jump(code, OUT);
  ebpf_label(code, UNWATCHED);
  load_state(code, ebpf, BPF_REG_1, offsetof(struct ebpf_state, started));
  ebpf_if(code, BPF_JNE, BPF_REG_1, 0, OUT);
  ebpf_call(code, BPF_FUNC_get_current_pid_tgid);
  ebpf_do(code, BPF_RSH, BPF_REG_0, 32);
  ebpf_if(code, BPF_JNE, BPF_REG_0, init, OUT);
  set_in_state(code, ebpf, offsetof(struct ebpf_state, started));
  ebpf_set(code, BPF_REG_1, EBPF_ANY_CALL);
  watch(code, ebpf);
}

static void write_adopt(struct ebpf_code *code, const struct ebpf *ebpf) {
  current_task(code, ebpf);
  ebpf_set(code, BPF_REG_1, EBPF_ANY_CALL);
  watch(code, ebpf);
}

bool ebpf_write_program(enum ebpf_program which, const struct ebpf *ebpf, pid_t init, struct ebpf_code *code) {
  memset(code, 0, sizeof *code);
  switch (which) {
    case EBPF_ENTER:
      write_enter(code, ebpf);
      break;
    case EBPF_LEAVE:
      write_leave(code, ebpf);
      break;
    case EBPF_NEW_TASK:
      write_new_task(code, ebpf);
      break;
    case EBPF_END_TASK:
      write_end_task(code, ebpf);
      break;
    case EBPF_EXEC:
      write_exec(code, ebpf, init);
      break;
    default:
      write_adopt(code, ebpf);
  }
  return ebpf_resolve(code);
}
