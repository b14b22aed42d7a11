#include "ebpf/code.h"

static void append(struct ebpf_code *code, int opcode, int to, int from, int offset, int32_t value) {
  if (code->length == EBPF_CODE_MAX) {
    code->overflow = true;
    return;
  }
  code->code[code->length++] = (struct bpf_insn){.code = (uint8_t)opcode,
                                                 .dst_reg = (uint8_t)(to & 15),
                                                 .src_reg = (uint8_t)(from & 15),
                                                 .off = (int16_t)offset,
                                                 .imm = value};
}

/* The one instruction that takes two places. */
static void append_wide(struct ebpf_code *code, int to, int kind, uint32_t low, uint32_t high) {
  append(code, BPF_LD | BPF_DW | BPF_IMM, to, kind, 0, (int32_t)low);
  append(code, 0, 0, 0, 0, (int32_t)high);
}

void ebpf_move(struct ebpf_code *code, int to, int from) { append(code, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
void ebpf_set(struct ebpf_code *code, int to, int32_t value) { append(code, BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }

void ebpf_map(struct ebpf_code *code, int to, int map) { append_wide(code, to, BPF_PSEUDO_MAP_FD, (uint32_t)map, 0); }

void ebpf_map_value(struct ebpf_code *code, int to, int map, int offset) {
  append_wide(code, to, BPF_PSEUDO_MAP_VALUE, (uint32_t)map, (uint32_t)offset);
}

void ebpf_load(struct ebpf_code *code, enum ebpf_size size, int to, int base, int offset) {
  append(code, BPF_LDX | (int)size | BPF_MEM, to, base, offset, 0);
}

void ebpf_store(struct ebpf_code *code, enum ebpf_size size, int base, int offset, int from) {
  append(code, BPF_STX | (int)size | BPF_MEM, base, from, offset, 0);
}

void ebpf_atomic_add(struct ebpf_code *code, int base, int offset, int from) {
  append(code, BPF_STX | BPF_DW | BPF_ATOMIC, base, from, offset, BPF_ADD);
}

void ebpf_fetch_add(struct ebpf_code *code, enum ebpf_size size, int base, int offset, int with) {
  append(code, BPF_STX | (int)size | BPF_ATOMIC, base, with, offset, BPF_ADD | BPF_FETCH);
}

void ebpf_exchange(struct ebpf_code *code, enum ebpf_size size, int base, int offset, int with) {
  append(code, BPF_STX | (int)size | BPF_ATOMIC, base, with, offset, BPF_XCHG);
}

void ebpf_call(struct ebpf_code *code, int helper) { append(code, BPF_JMP | BPF_CALL, 0, 0, 0, helper); }

void ebpf_exit(struct ebpf_code *code) {
  ebpf_set(code, BPF_REG_0, 0);
  append(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

void ebpf_do(struct ebpf_code *code, int operation, int to, int32_t value) {
  append(code, BPF_ALU64 | operation | BPF_K, to, 0, 0, value);
}

void ebpf_do_register(struct ebpf_code *code, int operation, int to, int from) {
  append(code, BPF_ALU64 | operation | BPF_X, to, from, 0, 0);
}

void ebpf_truncate(struct ebpf_code *code, int which) { append(code, BPF_ALU | BPF_MOV | BPF_X, which, which, 0, 0); }

static void jump(struct ebpf_code *code, int opcode, int left, int right, int32_t value, int label) {
  if (code->jump_count == EBPF_JUMPS_MAX) {
    code->overflow = true;
    return;
  }
  code->jumps[code->jump_count].at = code->length;
  code->jumps[code->jump_count++].label = label;
  append(code, opcode, left, right, 0, value);
}

void ebpf_jump(struct ebpf_code *code, int label) { jump(code, BPF_JMP | BPF_JA, 0, 0, 0, label); }

void ebpf_if(struct ebpf_code *code, int condition, int left, int32_t right, int label) {
  jump(code, BPF_JMP | condition | BPF_K, left, 0, right, label);
}

void ebpf_if32(struct ebpf_code *code, int condition, int left, int32_t right, int label) {
  jump(code, BPF_JMP32 | condition | BPF_K, left, 0, right, label);
}

void ebpf_if_register(struct ebpf_code *code, int condition, int left, int right, int label) {
  jump(code, BPF_JMP | condition | BPF_X, left, right, 0, label);
}

void ebpf_label(struct ebpf_code *code, int label) { code->labels[label] = code->length; }

bool ebpf_resolve(struct ebpf_code *code) {
  for (int i = 0; i < code->jump_count; i++) {
    int at = code->jumps[i].at, target = code->labels[code->jumps[i].label];
    if (target == 0) return false;
    code->code[at].off = (int16_t)(target - at - 1);
  }
  return !code->overflow;
}
