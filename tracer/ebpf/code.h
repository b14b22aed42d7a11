/* A small assembler for eBPF: instructions are appended to a program, jumps name labels. See the kernel's
   Documentation/bpf/standardization/instruction-set.rst. */
#ifndef EBPF_CODE_H
#define EBPF_CODE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

enum { EBPF_CODE_MAX = 896, EBPF_LABELS_MAX = 80, EBPF_JUMPS_MAX = 128 };

struct ebpf_code {
  struct bpf_insn code[EBPF_CODE_MAX];
  int length;
  int labels[EBPF_LABELS_MAX]; /* where each label stands; 0 at first, which no jump goes to */
  struct {
    int at, label;
  } jumps[EBPF_JUMPS_MAX];
  int jump_count;
  bool overflow; /* something did not fit: the program must not be used */
};

/* Sizes of loads and stores. */
enum ebpf_size { EBPF_8 = BPF_B, EBPF_32 = BPF_W, EBPF_64 = BPF_DW };

void ebpf_move(struct ebpf_code *code, int to, int from);
void ebpf_set(struct ebpf_code *code, int to, int32_t value); /* sign-extended */
void ebpf_map(struct ebpf_code *code, int to, int map);                    /* for the helpers' map argument */
void ebpf_map_value(struct ebpf_code *code, int to, int map, int offset);  /* address in the value of an array of one */
void ebpf_load(struct ebpf_code *code, enum ebpf_size size, int to, int base, int offset);
void ebpf_store(struct ebpf_code *code, enum ebpf_size size, int base, int offset, int from);
void ebpf_atomic_add(struct ebpf_code *code, int base, int offset, int from); /* 64 bits */
/* The same, and `with` becomes what was there before. */
void ebpf_fetch_add(struct ebpf_code *code, enum ebpf_size size, int base, int offset, int with);
void ebpf_exchange(struct ebpf_code *code, enum ebpf_size size, int base, int offset, int with);
void ebpf_call(struct ebpf_code *code, int helper);                        /* clobbers r0 to r5 */
void ebpf_exit(struct ebpf_code *code);

/* Arithmetic: operation is BPF_ADD, BPF_LSH, BPF_RSH, BPF_AND or BPF_OR. */
void ebpf_do(struct ebpf_code *code, int operation, int to, int32_t value);
void ebpf_do_register(struct ebpf_code *code, int operation, int to, int from);
void ebpf_truncate(struct ebpf_code *code, int which); /* to its low 32 bits */

/* Jumps: condition is BPF_JEQ, BPF_JNE, BPF_JGE and BPF_JLT and BPF_JGT (unsigned), BPF_JSLT (signed) or BPF_JSET. */
void ebpf_jump(struct ebpf_code *code, int label);
void ebpf_if(struct ebpf_code *code, int condition, int left, int32_t right, int label);
void ebpf_if32(struct ebpf_code *code, int condition, int left, int32_t right, int label); /* looks at 32 bits only */
void ebpf_if_register(struct ebpf_code *code, int condition, int left, int right, int label);
void ebpf_label(struct ebpf_code *code, int label);

/* Put the distances into the jumps. False: something did not fit, or a label is missing. */
bool ebpf_resolve(struct ebpf_code *code);

#endif
