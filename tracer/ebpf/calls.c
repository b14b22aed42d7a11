/* The programs that count: sys_enter, and sys_exit for what was denied. */
#include "ebpf/programs.h"

#include <stddef.h>
#include <sys/prctl.h>

/* The call as one number at CALL, and in r1. */
static void join_call(struct ebpf_code *code) {
  ebpf_move(code, BPF_REG_1, ABI);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 32);
  ebpf_do_register(code, BPF_OR, BPF_REG_1, NUMBER);
  ebpf_store(code, EBPF_64, BPF_REG_10, CALL, BPF_REG_1);
}

/* ROW = the row of counts whose index is in `index`; go LOST if there is none. */
static void find_row(struct ebpf_code *code, const struct ebpf *ebpf, int index) {
  ebpf_store(code, EBPF_32, BPF_REG_10, SCRATCH, index);
  part_look_up(code, ebpf->counts, SCRATCH);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, LOST);
  ebpf_move(code, ROW, BPF_REG_0);
}

/* ROW = the address of the call's count in the row. */
static void find_slot(struct ebpf_code *code) {
  part_slot(code);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 3);
  ebpf_do_register(code, BPF_ADD, ROW, BPF_REG_1);
  _Static_assert(sizeof(uint64_t) == 1 << 3, "the shift");
}

/* The count of a number that is RECORD_NUMBERS or more, in a table that has few places; goes OUT, or FIRST. */
static void count_odd(struct ebpf_code *code, const struct ebpf *ebpf, bool denied) {
  ebpf_label(code, ODD);
  join_call(code);
  part_look_up(code, ebpf->odd, CALL);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, ODD_FOUND);
  ebpf_set(code, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, ZEROS, BPF_REG_1);
  ebpf_store(code, EBPF_64, BPF_REG_10, ZEROS + 8, BPF_REG_1);
  part_update(code, ebpf->odd, CALL, ZEROS, BPF_NOEXIST); /* another processor may come first: whose entry it is does not matter */
  part_look_up(code, ebpf->odd, CALL);
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
  part_add_to_state(code, ebpf, offsetof(struct ebpf_state, lost_calls), 1);
  ebpf_label(code, FIRST);
  part_add_to_state(code, ebpf, offsetof(struct ebpf_state, sights), 1);
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
  part_read_kernel(code, BPF_REG_1, kernel->regs_arguments[0]);
  ebpf_if32(code, BPF_JEQ, BPF_REG_1, PR_SET_SECCOMP, FILTER);
  ebpf_jump(code, NO_FILTER);
  ebpf_label(code, COMPAT);
  ebpf_if(code, BPF_JEQ, NUMBER, kernel->compat_seccomp, FILTER);
  ebpf_if(code, BPF_JNE, NUMBER, kernel->compat_prctl, NO_FILTER);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, REGS);
  part_read_kernel(code, BPF_REG_1, kernel->regs_compat_arguments[0]);
  ebpf_if32(code, BPF_JNE, BPF_REG_1, PR_SET_SECCOMP, NO_FILTER);
  ebpf_label(code, FILTER);
  part_set_in_state(code, ebpf, offsetof(struct ebpf_state, filtered));
  ebpf_label(code, NO_FILTER);
}

/* Add one to the count at ROW, which is in r1. */
static void count_again(struct ebpf_code *code) {
  ebpf_move(code, BPF_REG_2, BPF_REG_1);
  ebpf_do(code, BPF_ADD, BPF_REG_2, 1);
  ebpf_store(code, EBPF_64, ROW, 0, BPF_REG_2);
}

/* sys_enter(regs, number): the hot path. Where a processor goes on with the task that it saw last, nothing is looked up. */
void program_enter(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, NUMBER, BPF_REG_1, 8);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, REGS, BPF_REG_1);
  part_current_task(code, ebpf);
  ebpf_call(code, BPF_FUNC_get_smp_processor_id);
  find_row(code, ebpf, BPF_REG_0);
  part_load_state(code, ebpf, BPF_REG_2, offsetof(struct ebpf_state, changes));
  ebpf_load(code, EBPF_64, BPF_REG_1, ROW, offsetof(struct ebpf_counts, task));
  ebpf_if_register(code, BPF_JNE, BPF_REG_1, TASK, MISS);
  ebpf_load(code, EBPF_64, BPF_REG_1, ROW, offsetof(struct ebpf_counts, changes));
  ebpf_if_register(code, BPF_JNE, BPF_REG_1, BPF_REG_2, MISS);
  ebpf_load(code, EBPF_64, BPF_REG_1, ROW, offsetof(struct ebpf_counts, watched));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, 0, OUT);

  ebpf_label(code, WATCHED);
  part_name_call(code, ebpf);
  note_filters(code, ebpf);
  part_load_state(code, ebpf, BPF_REG_1, offsetof(struct ebpf_state, filtered));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, 0, UNFILTERED);
  join_call(code);
  part_look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, CALL);
  ebpf_store(code, EBPF_64, BPF_REG_0, 0, BPF_REG_1);
  ebpf_label(code, UNFILTERED);
  ebpf_if(code, BPF_JGE, NUMBER, RECORD_NUMBERS, ODD);
  find_slot(code);
  ebpf_load(code, EBPF_64, BPF_REG_1, ROW, 0);
  if (ebpf->combinations >= 0) ebpf_if(code, BPF_JSLT, BPF_REG_1, 0, WITH_ARGUMENTS);
  count_again(code);
  ebpf_if(code, BPF_JNE, BPF_REG_1, 0, OUT);
  ebpf_jump(code, FIRST);

  /* The arguments before the count: whoever sees a count finds arguments. */
  if (ebpf->combinations >= 0) {
    ebpf_label(code, WITH_ARGUMENTS);
    part_record_arguments(code, ebpf);
    ebpf_load(code, EBPF_64, BPF_REG_1, ROW, 0);
    count_again(code);
    ebpf_do(code, BPF_LSH, BPF_REG_1, 1);
    ebpf_if(code, BPF_JNE, BPF_REG_1, 0, OUT);
    ebpf_jump(code, FIRST);
    _Static_assert(EBPF_ARGUMENTS == 1ull << 63, "the sign, which is shifted out");
  }

  /* Which number of changes this is true for has been read before. */
  ebpf_label(code, MISS);
  ebpf_store(code, EBPF_64, ROW, offsetof(struct ebpf_counts, changes), BPF_REG_2);
  ebpf_store(code, EBPF_64, ROW, offsetof(struct ebpf_counts, task), TASK);
  ebpf_set(code, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, ROW, offsetof(struct ebpf_counts, watched), BPF_REG_1);
  part_look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  ebpf_set(code, BPF_REG_1, 1);
  ebpf_store(code, EBPF_64, ROW, offsetof(struct ebpf_counts, watched), BPF_REG_1);
  ebpf_jump(code, WATCHED);

  count_odd(code, ebpf, false);
  end_of_counting(code, ebpf);
}

/* sys_exit(regs, result): a call that the task did not enter was denied by a seccomp filter, which the kernel asks before
   sys_enter. After rt_sigreturn the number is -1. */
void program_leave(struct ebpf_code *code, const struct ebpf *ebpf) {
  part_load_state(code, ebpf, BPF_REG_2, offsetof(struct ebpf_state, filtered));
  ebpf_if(code, BPF_JEQ, BPF_REG_2, 0, OUT);
  ebpf_load(code, EBPF_64, NUMBER, BPF_REG_1, 0); /* regs, for now */
  ebpf_store(code, EBPF_64, BPF_REG_10, REGS, NUMBER);
  part_current_task(code, ebpf);
  part_look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  ebpf_move(code, ROW, BPF_REG_0); /* the task's entry, for now */
  part_read_kernel(code, NUMBER, arch_kernel.regs_number);
  ebpf_move(code, NUMBER, BPF_REG_1);
  ebpf_if32(code, BPF_JNE, NUMBER, -1, KNOWN);
  ebpf_set(code, BPF_REG_1, EBPF_NO_CALL);
  ebpf_store(code, EBPF_64, ROW, 0, BPF_REG_1);
  ebpf_jump(code, OUT);
  ebpf_label(code, KNOWN);
  part_name_call(code, ebpf);
  join_call(code);
  ebpf_load(code, EBPF_64, BPF_REG_2, ROW, 0);
  ebpf_set(code, BPF_REG_3, EBPF_NO_CALL);
  ebpf_store(code, EBPF_64, ROW, 0, BPF_REG_3);
  ebpf_if_register(code, BPF_JEQ, BPF_REG_1, BPF_REG_2, OUT);
  ebpf_if(code, BPF_JEQ, BPF_REG_2, EBPF_ANY_CALL, OUT);
  ebpf_set(code, ROW, (int32_t)ebpf->processors + EBPF_UNSURE); /* its index, for now */
  ebpf_if(code, BPF_JEQ, BPF_REG_2, EBPF_UNKNOWN, COUNT);
  ebpf_set(code, ROW, (int32_t)ebpf->processors + EBPF_DENIED);
  ebpf_label(code, COUNT);
  ebpf_if(code, BPF_JGE, NUMBER, RECORD_NUMBERS, ODD);
  if (ebpf->combinations >= 0) part_record_arguments(code, ebpf); /* a call that was not denied had the same ones */
  find_row(code, ebpf, ROW);
  find_slot(code);
  ebpf_load(code, EBPF_64, BPF_REG_3, ROW, 0);
  ebpf_set(code, BPF_REG_1, 1);
  ebpf_atomic_add(code, ROW, 0, BPF_REG_1);
  ebpf_if(code, BPF_JNE, BPF_REG_3, 0, OUT);
  ebpf_jump(code, FIRST);
  count_odd(code, ebpf, true);
  end_of_counting(code, ebpf);
}

