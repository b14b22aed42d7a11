/* The eBPF programs. They run with preemption disabled or guarded against running twice on one processor at a time (the
   kernel counts what it skips for that, ebpf_misses()), so a processor's own counts need no atomic instructions.

   Tasks are known by the address of their struct task_struct: it is the same in all pid namespaces, before and after an exec
   by a thread that is not the leader, and cannot belong to another task before sched_process_exit has taken it out of the
   table. */
#include "ebpf/programs.h"

#include <string.h>

void part_add_to_state(struct ebpf_code *code, const struct ebpf *ebpf, size_t field, int32_t value) {
  ebpf_map_value(code, BPF_REG_1, ebpf->state, (int)field);
  ebpf_set(code, BPF_REG_2, value);
  ebpf_atomic_add(code, BPF_REG_1, 0, BPF_REG_2);
}

void part_set_in_state(struct ebpf_code *code, const struct ebpf *ebpf, size_t field) {
  ebpf_map_value(code, BPF_REG_1, ebpf->state, (int)field);
  ebpf_set(code, BPF_REG_2, 1);
  ebpf_store(code, EBPF_64, BPF_REG_1, 0, BPF_REG_2);
}

void part_load_state(struct ebpf_code *code, const struct ebpf *ebpf, int to, size_t field) {
  ebpf_map_value(code, to, ebpf->state, (int)field);
  ebpf_load(code, EBPF_64, to, to, 0);
}

void part_look_up(struct ebpf_code *code, int map, int key) {
  ebpf_map(code, BPF_REG_1, map);
  ebpf_move(code, BPF_REG_2, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_2, key);
  ebpf_call(code, BPF_FUNC_map_lookup_elem);
}

void part_update(struct ebpf_code *code, int map, int key, int value, int flags) {
  ebpf_map(code, BPF_REG_1, map);
  ebpf_move(code, BPF_REG_2, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_2, key);
  ebpf_move(code, BPF_REG_3, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_3, value);
  ebpf_set(code, BPF_REG_4, flags);
  ebpf_call(code, BPF_FUNC_map_update_elem);
}

void part_current_task(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_call(code, ebpf->direct ? BPF_FUNC_get_current_task_btf : BPF_FUNC_get_current_task);
  ebpf_move(code, TASK, BPF_REG_0);
  ebpf_store(code, EBPF_64, BPF_REG_10, TASK_KEY, TASK);
}

void part_copy_kernel(struct ebpf_code *code, int to, int size, int base, int offset, enum label failed) {
  ebpf_move(code, BPF_REG_3, base);
  ebpf_do(code, BPF_ADD, BPF_REG_3, offset);
  ebpf_move(code, BPF_REG_1, BPF_REG_10);
  ebpf_do(code, BPF_ADD, BPF_REG_1, to);
  ebpf_set(code, BPF_REG_2, size);
  ebpf_call(code, BPF_FUNC_probe_read_kernel);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, failed);
}

void part_read_kernel(struct ebpf_code *code, int base, int offset) {
  part_copy_kernel(code, SCRATCH, 4, base, offset, LOST);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_10, SCRATCH);
}

void part_name_call(struct ebpf_code *code, const struct ebpf *ebpf) {
  const struct arch_kernel *kernel = &arch_kernel;
  if (ebpf->direct) ebpf_load(code, EBPF_32, BPF_REG_1, TASK, kernel->mode_offset);
  else part_read_kernel(code, TASK, kernel->mode_offset);
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

void part_slot(struct ebpf_code *code) {
  ebpf_move(code, BPF_REG_1, ABI);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 10);
  ebpf_do_register(code, BPF_ADD, BPF_REG_1, NUMBER);
  _Static_assert(RECORD_NUMBERS == 1 << 10, "the shift");
}

bool ebpf_write_program(enum ebpf_program which, const struct ebpf *ebpf, pid_t init, struct ebpf_code *code) {
  memset(code, 0, sizeof *code);
  switch (which) {
    case EBPF_ENTER:
      program_enter(code, ebpf);
      break;
    case EBPF_LEAVE:
      program_leave(code, ebpf);
      break;
    case EBPF_NEW_TASK:
      program_new_task(code, ebpf);
      break;
    case EBPF_END_TASK:
      program_end_task(code, ebpf);
      break;
    case EBPF_EXEC:
      program_exec(code, ebpf, init);
      break;
    case EBPF_CAPTURE:
      program_capture(code, ebpf);
      break;
    case EBPF_CAPTURE_EXEC:
      program_capture_exec(code, ebpf);
      break;
    default:
      program_adopt(code, ebpf);
  }
  return ebpf_resolve(code);
}
