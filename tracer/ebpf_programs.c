/* The eBPF programs. They run with preemption disabled or guarded against running twice on one processor at a time (the kernel counts
   what it skips for that, ebpf_misses()), so a processor's own counts need no atomic instructions.

   Tasks are known by the address of their struct task_struct: it is the same in all pid namespaces, before and after an exec by a thread
   that is not the leader, and cannot belong to another task before sched_process_exit has taken it out of the table. */
#include "ebpf.h"
#include "ebpf_code.h"

#include <stddef.h>
#include <string.h>

/* Registers that keep their values over calls of helpers. */
enum { NUMBER = BPF_REG_6, ENTRY = BPF_REG_7, ABI = BPF_REG_8, CALL = BPF_REG_9 };

/* The stack, below r10. */
enum { TASK = -8, SCRATCH = -16, KEY = -24, ZEROS = -40 };

enum label { OUT = 1, LOST, NAMED, ODD, ODD_FOUND, ODD_COUNT, FIRST, FILTERS, FULL, KNOWN, UNWATCHED };

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

/* ENTRY = the current task's entry, or go OUT. */
static void find_current(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_call(code, BPF_FUNC_get_current_task);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK, BPF_REG_0);
  look_up(code, ebpf->tasks, TASK);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  ebpf_move(code, ENTRY, BPF_REG_0);
}

/* The four bytes at base + offset in kernel memory to SCRATCH, or go LOST. */
static void read_kernel(struct ebpf_code *code, int base, int offset) {
  ebpf_move(code, BPF_REG_1, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_1, SCRATCH);
  ebpf_set(code, BPF_REG_2, 4);
  ebpf_move(code, BPF_REG_3, base);
  ebpf_do(code, BPF_ADD, BPF_REG_3, offset);
  ebpf_call(code, BPF_FUNC_probe_read_kernel);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, LOST);
}

/* From NUMBER as the kernel has it: ABI, NUMBER in that ABI's numbering, CALL = both. */
static void name_call(struct ebpf_code *code) {
  const struct arch_kernel *kernel = &arch_kernel;
  ebpf_load(code, EBPF_64, CALL, BPF_REG_10, TASK);
  read_kernel(code, CALL, kernel->mode_offset);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_10, SCRATCH);
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
  ebpf_move(code, CALL, ABI);
  ebpf_do(code, BPF_LSH, CALL, 32);
  ebpf_do_register(code, BPF_OR, CALL, NUMBER);
}

/* r0 = the address of the call's count in the row of counts whose index is at SCRATCH; go LOST if there is no such row. */
static void find_slot(struct ebpf_code *code, const struct ebpf *ebpf) {
  look_up(code, ebpf->counts, SCRATCH);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, LOST);
  ebpf_move(code, BPF_REG_1, ABI);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 10);
  ebpf_do_register(code, BPF_ADD, BPF_REG_1, NUMBER);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 3);
  ebpf_do_register(code, BPF_ADD, BPF_REG_0, BPF_REG_1);
  _Static_assert(RECORD_NUMBERS == 1 << 10 && sizeof(uint64_t) == 1 << 3, "the shifts");
}

/* The count of a number that is RECORD_NUMBERS or more, in a table that has few places; goes OUT, or FIRST. */
static void count_odd(struct ebpf_code *code, const struct ebpf *ebpf, bool denied) {
  ebpf_label(code, ODD);
  ebpf_store(code, EBPF_64, BPF_REG_10, KEY, CALL);
  look_up(code, ebpf->odd, KEY);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, ODD_FOUND);
  ebpf_set(code, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, ZEROS, BPF_REG_1);
  ebpf_store(code, EBPF_64, BPF_REG_10, ZEROS + 8, BPF_REG_1);
  update(code, ebpf->odd, KEY, ZEROS, BPF_NOEXIST); /* another processor may come first: whose entry it is does not matter */
  look_up(code, ebpf->odd, KEY);
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

/* sys_enter(regs, number): the hot path. That a filter may be there from now on is noted before the call that installs it runs. */
static void write_enter(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, NUMBER, BPF_REG_1, 8);
  find_current(code, ebpf);
  name_call(code);
  ebpf_store(code, EBPF_64, ENTRY, 0, CALL);
  ebpf_if(code, BPF_JGE, NUMBER, RECORD_NUMBERS, ODD);
  ebpf_call(code, BPF_FUNC_get_smp_processor_id);
  ebpf_store(code, EBPF_32, BPF_REG_10, SCRATCH, BPF_REG_0);
  find_slot(code, ebpf);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_0, 0);
  ebpf_move(code, BPF_REG_2, BPF_REG_1);
  ebpf_do(code, BPF_ADD, BPF_REG_2, 1);
  ebpf_store(code, EBPF_64, BPF_REG_0, 0, BPF_REG_2);
  ebpf_if(code, BPF_JNE, BPF_REG_1, 0, OUT);
  for (int i = 0; i < arch_filter_call_count; i++) {
    ebpf_set64(code, BPF_REG_1, (uint64_t)arch_filter_calls[i].abi << 32 | (uint32_t)arch_filter_calls[i].nr);
    ebpf_if_register(code, BPF_JEQ, CALL, BPF_REG_1, FILTERS);
  }
  ebpf_jump(code, FIRST);
  ebpf_label(code, FILTERS);
  set_in_state(code, ebpf, offsetof(struct ebpf_state, filtered));
  ebpf_jump(code, FIRST);
  count_odd(code, ebpf, false);
  end_of_counting(code, ebpf);
}

/* sys_exit(regs, result): a call that the task did not enter was denied by a seccomp filter, which the kernel asks before sys_enter. After
   rt_sigreturn the number is -1. */
static void write_leave(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_map_value(code, BPF_REG_2, ebpf->state, offsetof(struct ebpf_state, filtered));
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_2, 0);
  ebpf_if(code, BPF_JEQ, BPF_REG_2, 0, OUT);
  ebpf_load(code, EBPF_64, NUMBER, BPF_REG_1, 0); /* regs, for now */
  find_current(code, ebpf);
  read_kernel(code, NUMBER, arch_kernel.regs_number);
  ebpf_load(code, EBPF_32, NUMBER, BPF_REG_10, SCRATCH);
  ebpf_if32(code, BPF_JNE, NUMBER, -1, KNOWN);
  ebpf_set(code, BPF_REG_1, -1); /* EBPF_NO_CALL */
  ebpf_store(code, EBPF_64, ENTRY, 0, BPF_REG_1);
  ebpf_jump(code, OUT);
  ebpf_label(code, KNOWN);
  name_call(code);
  ebpf_load(code, EBPF_64, BPF_REG_1, ENTRY, 0);
  ebpf_set(code, BPF_REG_2, -1);
  ebpf_store(code, EBPF_64, ENTRY, 0, BPF_REG_2);
  ebpf_if_register(code, BPF_JEQ, BPF_REG_1, CALL, OUT);
  ebpf_if(code, BPF_JEQ, BPF_REG_1, -2, OUT); /* EBPF_ANY_CALL */
  ebpf_if(code, BPF_JGE, NUMBER, RECORD_NUMBERS, ODD);
  ebpf_set(code, BPF_REG_1, (int32_t)ebpf->processors);
  ebpf_store(code, EBPF_32, BPF_REG_10, SCRATCH, BPF_REG_1);
  find_slot(code, ebpf);
  ebpf_load(code, EBPF_64, BPF_REG_3, BPF_REG_0, 0);
  ebpf_set(code, BPF_REG_1, 1);
  ebpf_atomic_add(code, BPF_REG_0, 0, BPF_REG_1);
  ebpf_if(code, BPF_JNE, BPF_REG_3, 0, OUT);
  ebpf_jump(code, FIRST);
  count_odd(code, ebpf, true);
  end_of_counting(code, ebpf);
}

/* The task whose address is at TASK gets an entry. What it is in the middle of (the execve or clone that it comes out of) is not its own. */
static void watch(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_set(code, BPF_REG_1, -2); /* EBPF_ANY_CALL */
  ebpf_store(code, EBPF_64, BPF_REG_10, SCRATCH, BPF_REG_1);
  update(code, ebpf->tasks, TASK, SCRATCH, BPF_ANY);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, FULL);
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
  find_current(code, ebpf);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK, NUMBER);
  watch(code, ebpf);
}

/* sched_process_exit(task, ...): it makes no further call */
static void write_end_task(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK, BPF_REG_1);
  ebpf_map(code, BPF_REG_1, ebpf->tasks);
  ebpf_move(code, BPF_REG_2, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_2, TASK);
  ebpf_call(code, BPF_FUNC_map_delete_elem);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, OUT);
  add_to_state(code, ebpf, offsetof(struct ebpf_state, live), -1);
  ebpf_label(code, OUT);
  ebpf_exit(code);
}

/* sched_process_exec(task, ...): the number at the end of an execve can be another than at its beginning, from a 64-bit program to a
   32-bit one */
static void write_exec(struct ebpf_code *code, const struct ebpf *ebpf, pid_t init) {
  ebpf_call(code, BPF_FUNC_get_current_task);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK, BPF_REG_0);
  look_up(code, ebpf->tasks, TASK);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, UNWATCHED);
  ebpf_set(code, BPF_REG_1, -2); /* EBPF_ANY_CALL */
  ebpf_store(code, EBPF_64, BPF_REG_0, 0, BPF_REG_1);
  ebpf_jump(code, OUT);
  ebpf_label(code, UNWATCHED);
  ebpf_map_value(code, BPF_REG_1, ebpf->state, offsetof(struct ebpf_state, started));
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_1, 0);
  ebpf_if(code, BPF_JNE, BPF_REG_1, 0, OUT);
  ebpf_call(code, BPF_FUNC_get_current_pid_tgid);
  ebpf_do(code, BPF_RSH, BPF_REG_0, 32);
  ebpf_if(code, BPF_JNE, BPF_REG_0, init, OUT);
  set_in_state(code, ebpf, offsetof(struct ebpf_state, started));
  watch(code, ebpf);
}

static void write_adopt(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_call(code, BPF_FUNC_get_current_task);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK, BPF_REG_0);
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
