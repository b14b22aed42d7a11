/* What the eBPF programs are written with: who has which register and which part of the stack, and fragments that several of
   them hold. */
#ifndef EBPF_PROGRAMS_H
#define EBPF_PROGRAMS_H

#include "ebpf/code.h"
#include "ebpf/ebpf.h"

/* Registers that keep their values over calls of helpers. */
enum { NUMBER = BPF_REG_6, TASK = BPF_REG_7, ABI = BPF_REG_8, ROW = BPF_REG_9 };

/* The stack, below r10. COMBINATION is a struct ebpf_combination as far as its values; what lies below is the copy of the registers. */
enum { TASK_KEY = -8, SCRATCH = -16, CALL = -24, ZEROS = -40, REGS = -48, WANTED = -56, COMBINATION = -88 };

enum label {
  OUT = 1, LOST, FIRST, NAMED, ODD, ODD_FOUND, COMPAT, FILTER, NO_FILTER, WATCHED, MISS, UNFILTERED, KNOWN, COUNT, FULL,
  UNWATCHED, FRESH, WITH_ARGUMENTS, COMPAT_ARGUMENTS, GATHERED, TOO_MANY, NEW_ARGUMENTS, ARGUMENTS_DONE,
  STEPS, STEPS_DONE, NO_CONDITION, TEXT, KERNEL_TEXT, NO_TEXT, LINK, ROOT, WORKING, DESCRIPTOR, OPENED, EXECUTED, WALK, CROSS, NO_LINK, BYTES,
  BYTES_AT, ADDRESS, ADDRESS_AT, HEADERS, NARROW_HEADERS, HEADER, NARROW_HEADER, HEADER_READ, NARROW_READ, SOCKETCALL,
  SOCKETCALL_MESSAGES, EMIT, EMITTED,
};

void part_add_to_state(struct ebpf_code *code, const struct ebpf *ebpf, size_t field, int32_t value);
void part_set_in_state(struct ebpf_code *code, const struct ebpf *ebpf, size_t field); /* to 1 */
void part_load_state(struct ebpf_code *code, const struct ebpf *ebpf, int to, size_t field);

/* r0 = the value in `map` under the key at `key` on the stack, or 0. */
void part_look_up(struct ebpf_code *code, int map, int key);

/* r0 = 0, or an error: `map` has no room. `flags` is BPF_ANY or BPF_NOEXIST. */
void part_update(struct ebpf_code *code, int map, int key, int value, int flags);

/* TASK = the current task, also at TASK_KEY. */
void part_current_task(struct ebpf_code *code, const struct ebpf *ebpf);

/* The bytes at base + offset in kernel memory come to `to` on the stack, or it goes to `failed`. */
void part_copy_kernel(struct ebpf_code *code, int to, int size, int base, int offset, enum label failed);

/* r1 = the four bytes at base + offset in kernel memory, or go LOST. */
void part_read_kernel(struct ebpf_code *code, int base, int offset);

/* From NUMBER as the kernel has it: ABI, and NUMBER in that ABI's numbering. TASK is the current task. Goes LOST. */
void part_name_call(struct ebpf_code *code, const struct ebpf *ebpf);

/* r1 = the call's slot; NUMBER is less than RECORD_NUMBERS. */
void part_slot(struct ebpf_code *code);

/* Record the arguments of the call, if they are wanted. Its registers' address is at REGS. Keeps only the registers named above. */
void part_record_arguments(struct ebpf_code *code, const struct ebpf *ebpf);

/* The programs */
void program_enter(struct ebpf_code *code, const struct ebpf *ebpf);
void program_leave(struct ebpf_code *code, const struct ebpf *ebpf);
void program_new_task(struct ebpf_code *code, const struct ebpf *ebpf);
void program_end_task(struct ebpf_code *code, const struct ebpf *ebpf);
void program_exec(struct ebpf_code *code, const struct ebpf *ebpf, pid_t init);
void program_adopt(struct ebpf_code *code, const struct ebpf *ebpf);
void program_capture(struct ebpf_code *code, const struct ebpf *ebpf);
void program_capture_exec(struct ebpf_code *code, const struct ebpf *ebpf);

#endif
