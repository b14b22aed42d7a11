/* The programs that keep the table of watched tasks. */
#include "ebpf/programs.h"

#include <stddef.h>

/* The task whose address is at TASK_KEY gets an entry, with r1 in it. */
static void watch(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_store(code, EBPF_64, BPF_REG_10, SCRATCH, BPF_REG_1);
  part_update(code, ebpf->tasks, TASK_KEY, SCRATCH, BPF_ANY);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, FULL);
  part_add_to_state(code, ebpf, offsetof(struct ebpf_state, changes), 1);
  part_add_to_state(code, ebpf, offsetof(struct ebpf_state, live), 1);
  part_add_to_state(code, ebpf, offsetof(struct ebpf_state, born), 1);
  ebpf_jump(code, OUT);
  ebpf_label(code, FULL);
  part_add_to_state(code, ebpf, offsetof(struct ebpf_state, lost_tasks), 1);
  ebpf_label(code, OUT);
  ebpf_exit(code);
}

/* task_newtask(task, flags), in the parent, before the child first runs */
void program_new_task(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, NUMBER, BPF_REG_1, 0);
  part_current_task(code, ebpf);
  part_look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK_KEY, NUMBER);
  part_load_state(code, ebpf, BPF_REG_2, offsetof(struct ebpf_state, filtered));
  ebpf_set(code, BPF_REG_1, EBPF_ANY_CALL);
  ebpf_if(code, BPF_JNE, BPF_REG_2, 0, FRESH);
  ebpf_set(code, BPF_REG_1, EBPF_UNKNOWN); /* as long as there is no filter nobody looks at the ends of its calls */
  ebpf_label(code, FRESH);
  watch(code, ebpf);
}

/* sched_process_exit(task, ...): it makes no further call */
void program_end_task(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK_KEY, BPF_REG_1);
  ebpf_map(code, BPF_REG_1, ebpf->tasks);
  ebpf_move(code, BPF_REG_2, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_2, TASK_KEY);
  ebpf_call(code, BPF_FUNC_map_delete_elem);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, OUT);
  part_add_to_state(code, ebpf, offsetof(struct ebpf_state, changes), 1);
  part_add_to_state(code, ebpf, offsetof(struct ebpf_state, live), -1);
  ebpf_label(code, OUT);
  ebpf_exit(code);
}

/* sched_process_exec(task, ...): from a 64-bit program to a 32-bit one the call's number is another at its end than at its
   beginning */
void program_exec(struct ebpf_code *code, const struct ebpf *ebpf, pid_t init) {
  part_current_task(code, ebpf);
  part_look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, UNWATCHED);
  ebpf_set(code, BPF_REG_1, EBPF_ANY_CALL);
  ebpf_store(code, EBPF_64, BPF_REG_0, 0, BPF_REG_1);
  ebpf_jump(code, OUT);
  ebpf_label(code, UNWATCHED);
  part_load_state(code, ebpf, BPF_REG_1, offsetof(struct ebpf_state, started));
  ebpf_if(code, BPF_JNE, BPF_REG_1, 0, OUT);
  ebpf_call(code, BPF_FUNC_get_current_pid_tgid);
  ebpf_do(code, BPF_RSH, BPF_REG_0, 32);
  ebpf_if(code, BPF_JNE, BPF_REG_0, init, OUT);
  part_set_in_state(code, ebpf, offsetof(struct ebpf_state, started));
  ebpf_set(code, BPF_REG_1, EBPF_ANY_CALL);
  watch(code, ebpf);
}

void program_adopt(struct ebpf_code *code, const struct ebpf *ebpf) {
  part_current_task(code, ebpf);
  ebpf_set(code, BPF_REG_1, EBPF_ANY_CALL);
  watch(code, ebpf);
}

