/* The part of the counting programs that records arguments: every combination of a call's once. The table of combinations tells
   the first sight, and the journal has them in that order, where the tracer can read them without asking the kernel. Nothing is lost
   silently: what cannot be kept makes the call one that has too many. */
#include "ebpf/programs.h"

#include <errno.h>
#include <stddef.h>

/* Where the copy of the registers begins on the stack. */
static int copy(void) { return COMBINATION - (arch_kernel.regs_end + 7) / 8 * 8; }

/* r2 = the call's struct ebpf_wanted, also at WANTED. */
static void find_wanted(struct ebpf_code *code, const struct ebpf *ebpf) {
  part_slot(code);
  ebpf_store(code, EBPF_32, BPF_REG_10, COMBINATION + (int)offsetof(struct ebpf_combination, slot), BPF_REG_1);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 5);
  ebpf_map_value(code, BPF_REG_2, ebpf->wanted, 0);
  ebpf_do_register(code, BPF_ADD, BPF_REG_2, BPF_REG_1);
  ebpf_store(code, EBPF_64, BPF_REG_10, WANTED, BPF_REG_2);
  _Static_assert(sizeof(struct ebpf_wanted) == 1 << 5, "the shift");
}

/* The arguments, as r2 says, from the copy of the registers to COMBINATION. */
static void gather(struct ebpf_code *code, const int offsets[6]) {
  for (int i = 0; i < 6; i++) {
    ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_10, copy() + offsets[i]);
    ebpf_load(code, EBPF_32, BPF_REG_3, BPF_REG_2, (int)offsetof(struct ebpf_wanted, bits) + 4 * i);
    ebpf_do_register(code, BPF_AND, BPF_REG_1, BPF_REG_3);
    ebpf_store(code, EBPF_32, BPF_REG_10, COMBINATION + (int)offsetof(struct ebpf_combination, values) + 4 * i, BPF_REG_1);
  }
}

static void gather_arguments(struct ebpf_code *code) {
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, REGS);
  part_copy_kernel(code, copy(), arch_kernel.regs_end, BPF_REG_1, 0, TOO_MANY);
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_10, WANTED);
  ebpf_if(code, BPF_JEQ, ABI, arch_kernel.compat, COMPAT_ARGUMENTS);
  gather(code, arch_kernel.regs_arguments);
  ebpf_jump(code, GATHERED);
  ebpf_label(code, COMPAT_ARGUMENTS);
  gather(code, arch_kernel.regs_compat_arguments);
  ebpf_label(code, GATHERED);
}

/* Put a new combination into the journal, or go TOO_MANY. Who inserted it into the table is the one who comes here. */
static void write_journal(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_10, WANTED);
  ebpf_set(code, BPF_REG_1, 1);
  ebpf_fetch_add(code, EBPF_32, BPF_REG_2, offsetof(struct ebpf_wanted, combinations), BPF_REG_1);
  ebpf_if(code, BPF_JGE, BPF_REG_1, COMBINATIONS_OF_ONE, TOO_MANY);
  ebpf_map_value(code, BPF_REG_2, ebpf->state, offsetof(struct ebpf_state, combinations));
  ebpf_set(code, BPF_REG_1, 1);
  ebpf_fetch_add(code, EBPF_64, BPF_REG_2, 0, BPF_REG_1);
  ebpf_store(code, EBPF_32, BPF_REG_10, SCRATCH, BPF_REG_1);
  part_look_up(code, ebpf->journal, SCRATCH);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, TOO_MANY); /* it has COMBINATIONS_MOST places */
  for (int at = 0; at < EBPF_KEY; at += 4) {
    ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_10, COMBINATION + at);
    ebpf_store(code, EBPF_32, BPF_REG_0, at, BPF_REG_1);
  }
  ebpf_set(code, BPF_REG_1, EBPF_WRITTEN);
  ebpf_exchange(code, EBPF_32, BPF_REG_0, offsetof(struct ebpf_combination, state), BPF_REG_1);
  _Static_assert(EBPF_KEY == offsetof(struct ebpf_combination, state), "the key is what stands before");
}

void part_record_arguments(struct ebpf_code *code, const struct ebpf *ebpf) {
  find_wanted(code, ebpf);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_2, offsetof(struct ebpf_wanted, any));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, 0, ARGUMENTS_DONE);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_2, offsetof(struct ebpf_wanted, combinations));
  ebpf_if(code, BPF_JGT, BPF_REG_1, COMBINATIONS_OF_ONE, ARGUMENTS_DONE);
  gather_arguments(code);
  part_look_up(code, ebpf->combinations, COMBINATION);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, ARGUMENTS_DONE);
  part_update(code, ebpf->combinations, COMBINATION, COMBINATION, BPF_NOEXIST);
  ebpf_if32(code, BPF_JEQ, BPF_REG_0, -EEXIST, ARGUMENTS_DONE); /* another processor came first */
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, TOO_MANY);
  write_journal(code, ebpf);
  ebpf_jump(code, NEW_ARGUMENTS);
  ebpf_label(code, TOO_MANY);
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_10, WANTED);
  ebpf_set(code, BPF_REG_1, EBPF_TOO_MANY);
  ebpf_store(code, EBPF_32, BPF_REG_2, offsetof(struct ebpf_wanted, combinations), BPF_REG_1);
  ebpf_label(code, NEW_ARGUMENTS);
  part_add_to_state(code, ebpf, offsetof(struct ebpf_state, sights), 1);
  ebpf_label(code, ARGUMENTS_DONE);
}
