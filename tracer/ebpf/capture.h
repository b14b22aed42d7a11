/* What the parts of the capturing programs share. */
#ifndef EBPF_CAPTURE_H
#define EBPF_CAPTURE_H

#include "ebpf/layout.h"
#include "ebpf/programs.h"

#include <stddef.h>

/* Registers, while steps are taken. */
enum { STEP_INDEX = BPF_REG_6, ENTRY = BPF_REG_7, MOUNT = BPF_REG_8, PIECE = BPF_REG_9 };

/* The stack, in place of what counting has there. REGS and SCRATCH are the same. */
enum {
  SHAPE = WANTED, ARGUMENTS = -120, ONE = -128, VALUE = -136, DEPTH = -144, LINKS = -160, RESULT = -168, MESSAGES = -176, ROUND = -184,
  STEP = -192, COPY_END = -192,
};

/* In the piece. */
#define FIELD(member) (int)offsetof(struct ebpf_capture, member)
void capture_set(struct ebpf_code *code, enum ebpf_size size, int field, int32_t value);

/* Send the piece, with its number. `flags`: BPF_RB_NO_WAKEUP or BPF_RB_FORCE_WAKEUP. */
void capture_emit(struct ebpf_code *code, const struct ebpf *ebpf, int flags);

/* Steps of enum ebpf_step. They end in EMIT, which sends the piece, in NO_LINK, where there is nothing to send, or in NO_TEXT, with an empty piece. */
void capture_memory(struct ebpf_code *code, const struct ebpf *ebpf);    /* ebpf/memory.c */
void capture_names(struct ebpf_code *code, const struct ebpf_layout *layout); /* ebpf/names.c */

#endif
