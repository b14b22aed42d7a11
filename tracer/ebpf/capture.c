/* The programs that capture what calls with paths name, when the call ends. Everything is read with helpers that fail where there is
   nothing to read. */
#include "ebpf/capture.h"

enum { WAKE_EACH = 64 /* calls: then the tracer is woken */ };

static int copy_size(void) { return (arch_kernel.regs_end + 7) / 8 * 8; }
static int copy(void) { return COPY_END - copy_size(); }

void capture_set(struct ebpf_code *code, enum ebpf_size size, int field, int32_t value) {
  ebpf_set(code, BPF_REG_1, value);
  ebpf_store(code, size, PIECE, field, BPF_REG_1);
}

/* ARGUMENTS from the copy of the registers; the two places behind the sixth stay 0, and the one before the first is ONE. */
static void gather(struct ebpf_code *code, enum ebpf_size size, const int offsets[6]) {
  for (int i = 0; i < 6; i++) {
    ebpf_load(code, size, BPF_REG_1, BPF_REG_10, copy() + offsets[i]);
    ebpf_store(code, EBPF_64, BPF_REG_10, ARGUMENTS + 8 * i, BPF_REG_1);
  }
}

static void no_arguments(struct ebpf_code *code) {
  ebpf_set(code, BPF_REG_1, 0);
  for (int i = 0; i < 8; i++) ebpf_store(code, EBPF_64, BPF_REG_10, ARGUMENTS + 8 * i, BPF_REG_1);
  ebpf_set(code, BPF_REG_1, 1);
  ebpf_store(code, EBPF_64, BPF_REG_10, ONE, BPF_REG_1);
}

/* PIECE = the processor's piece, for the slot in r1. */
static void find_piece(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_store(code, EBPF_64, BPF_REG_10, VALUE, BPF_REG_1);
  ebpf_call(code, BPF_FUNC_get_smp_processor_id);
  ebpf_store(code, EBPF_32, BPF_REG_10, SCRATCH, BPF_REG_0);
  part_look_up(code, ebpf->pieces, SCRATCH);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, LOST);
  ebpf_move(code, PIECE, BPF_REG_0);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, VALUE);
  ebpf_store(code, EBPF_32, PIECE, FIELD(slot), BPF_REG_1);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_10, SCRATCH);
  ebpf_store(code, EBPF_32, PIECE, FIELD(processor), BPF_REG_1);
  capture_set(code, EBPF_8, FIELD(data), 0);
}

void capture_emit(struct ebpf_code *code, const struct ebpf *ebpf, int flags) {
  ebpf_load(code, EBPF_32, BPF_REG_1, PIECE, FIELD(number));
  ebpf_do(code, BPF_ADD, BPF_REG_1, 1);
  ebpf_store(code, EBPF_32, PIECE, FIELD(number), BPF_REG_1);
  ebpf_load(code, EBPF_32, BPF_REG_3, PIECE, FIELD(length));
  ebpf_if(code, BPF_JGT, BPF_REG_3, EBPF_PIECE_DATA + EBPF_PIECE_SPARE, LOST);
  ebpf_do(code, BPF_ADD, BPF_REG_3, FIELD(data));
  ebpf_move(code, BPF_REG_2, PIECE);
  ebpf_map(code, BPF_REG_1, ebpf->ring);
  ebpf_set(code, BPF_REG_4, flags);
  ebpf_call(code, BPF_FUNC_ringbuf_output);
}

/* r2 = the shape of the slot in r1, also at SHAPE; r1 stays as it is. */
static void find_shape(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_move(code, BPF_REG_3, BPF_REG_1);
  ebpf_do(code, BPF_LSH, BPF_REG_3, 5);
  ebpf_map_value(code, BPF_REG_2, ebpf->shapes, 0);
  ebpf_do_register(code, BPF_ADD, BPF_REG_2, BPF_REG_3);
  ebpf_store(code, EBPF_64, BPF_REG_10, SHAPE, BPF_REG_2);
  _Static_assert(sizeof(struct ebpf_shape) == 1 << 5, "the shift");
}

/* r1 = the step, also at STEP; its argument is at VALUE. Goes STEPS_DONE. */
static void next_step(struct ebpf_code *code) {
  ebpf_if(code, BPF_JGE, STEP_INDEX, EBPF_STEPS, STEPS_DONE);
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_10, SHAPE);
  ebpf_move(code, BPF_REG_1, STEP_INDEX);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 2);
  ebpf_do_register(code, BPF_ADD, BPF_REG_2, BPF_REG_1);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_2, offsetof(struct ebpf_shape, steps));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, EBPF_STEP_NONE, STEPS_DONE);
  ebpf_do(code, BPF_ADD, STEP_INDEX, 1);
  ebpf_store(code, EBPF_64, BPF_REG_10, STEP, BPF_REG_1);
  ebpf_move(code, BPF_REG_2, BPF_REG_1);
  ebpf_do(code, BPF_RSH, BPF_REG_2, 8 - 3);
  ebpf_do(code, BPF_AND, BPF_REG_2, 7 << 3);
  ebpf_move(code, BPF_REG_3, BPF_REG_10);
  ebpf_do_register(code, BPF_ADD, BPF_REG_3, BPF_REG_2);
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_3, ARGUMENTS);
  ebpf_store(code, EBPF_64, BPF_REG_10, VALUE, BPF_REG_2);
  ebpf_store(code, EBPF_64, PIECE, FIELD(key), BPF_REG_2);
}

static void branch(struct ebpf_code *code) {
  static const int labels[] = {[EBPF_STEP_TEXT] = TEXT,     [EBPF_STEP_BASE] = LINK,   [EBPF_STEP_WORKING] = WORKING, [EBPF_STEP_ROOT] = ROOT,
                               [EBPF_STEP_OPENED] = OPENED, [EBPF_STEP_BYTES] = BYTES, [EBPF_STEP_KERNEL_TEXT] = KERNEL_TEXT,
                               [EBPF_STEP_EXECUTED] = EXECUTED, [EBPF_STEP_ADDRESS] = ADDRESS, [EBPF_STEP_HEADERS] = HEADERS,
                               [EBPF_STEP_NARROW_HEADERS] = NARROW_HEADERS, [EBPF_STEP_SOCKETCALL] = SOCKETCALL};
  ebpf_do(code, BPF_AND, BPF_REG_1, 0xff);
  for (int step = EBPF_STEP_TEXT; step <= EBPF_STEP_EXECUTED; step++) ebpf_if(code, BPF_JEQ, BPF_REG_1, step, labels[step]);
  ebpf_jump(code, STEPS);
}

/* The last piece has the arguments. Every now and then the tracer is woken, that it may read before there is no more room. */
static void end(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_label(code, STEPS_DONE);
  capture_set(code, EBPF_32, FIELD(piece), EBPF_PIECE_END);
  capture_set(code, EBPF_32, FIELD(length), 6 * 8);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, RESULT);
  ebpf_store(code, EBPF_64, PIECE, FIELD(key), BPF_REG_1);
  for (int i = 0; i < 6; i++) {
    ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, ARGUMENTS + 8 * i);
    ebpf_store(code, EBPF_64, PIECE, FIELD(data) + 8 * i, BPF_REG_1);
  }
  ebpf_map_value(code, BPF_REG_2, ebpf->state, offsetof(struct ebpf_state, captures));
  ebpf_set(code, BPF_REG_1, 1);
  ebpf_fetch_add(code, EBPF_64, BPF_REG_2, 0, BPF_REG_1);
  ebpf_do(code, BPF_AND, BPF_REG_1, WAKE_EACH - 1);
  ebpf_if(code, BPF_JEQ, BPF_REG_1, WAKE_EACH - 1, EMITTED);
  capture_emit(code, ebpf, BPF_RB_NO_WAKEUP);
  ebpf_jump(code, OUT);
  ebpf_label(code, EMITTED);
  capture_emit(code, ebpf, BPF_RB_FORCE_WAKEUP);
  ebpf_jump(code, OUT);
}

/* Take the steps of the shape at SHAPE. */
static void take_steps(struct ebpf_code *code, const struct ebpf *ebpf) {
  /* So that the verifier looks at what follows once, not for each ABI. */
  ebpf_load(code, EBPF_32, BPF_REG_1, PIECE, FIELD(slot));
  ebpf_if(code, BPF_JGT, BPF_REG_1, EBPF_SLOTS, LOST);
  find_shape(code, ebpf);
  ebpf_store(code, EBPF_64, BPF_REG_10, VALUE, BPF_REG_1);
  ebpf_set(code, ENTRY, 0);
  ebpf_set(code, MOUNT, 0);
  ebpf_set(code, STEP_INDEX, 0);
  ebpf_label(code, STEPS);
  next_step(code);
  branch(code);

  capture_memory(code, ebpf);
  capture_names(code, ebpf->layout);

  ebpf_label(code, NO_TEXT);
  capture_set(code, EBPF_32, FIELD(length), 0);
  capture_set(code, EBPF_8, FIELD(data), 0);
  ebpf_jump(code, EMIT);
  ebpf_label(code, NO_LINK); /* nothing is said of what is not there */
  capture_set(code, EBPF_8, FIELD(data), 0);
  ebpf_jump(code, STEPS);
  ebpf_label(code, EMIT);
  capture_emit(code, ebpf, BPF_RB_NO_WAKEUP);
  ebpf_jump(code, STEPS);
  end(code, ebpf);

  ebpf_label(code, LOST);
  part_add_to_state(code, ebpf, offsetof(struct ebpf_state, lost_calls), 1);
  ebpf_label(code, OUT);
  ebpf_exit(code);
}

/* sys_exit(regs, result) */
void program_capture(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_1, 8);
  ebpf_store(code, EBPF_64, BPF_REG_10, RESULT, BPF_REG_2);
  ebpf_load(code, EBPF_64, NUMBER, BPF_REG_1, 0); /* regs, for now */
  ebpf_store(code, EBPF_64, BPF_REG_10, REGS, NUMBER);
  part_current_task(code, ebpf);
  part_read_kernel(code, NUMBER, arch_kernel.regs_number);
  ebpf_move(code, NUMBER, BPF_REG_1);
  ebpf_if32(code, BPF_JEQ, NUMBER, -1, OUT);
  part_name_call(code, ebpf);
  ebpf_if(code, BPF_JGE, NUMBER, RECORD_NUMBERS, OUT);
  part_slot(code);
  find_shape(code, ebpf);
  ebpf_load(code, EBPF_32, BPF_REG_3, BPF_REG_2, offsetof(struct ebpf_shape, steps));
  ebpf_if(code, BPF_JEQ, BPF_REG_3, 0, OUT); /* most calls end here, before anything is looked up */
  part_look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, REGS);
  part_copy_kernel(code, copy(), copy_size(), BPF_REG_1, 0, LOST);
  part_slot(code);
  find_piece(code, ebpf);
  no_arguments(code);
  ebpf_if(code, BPF_JEQ, ABI, arch_kernel.compat, COMPAT_ARGUMENTS);
  gather(code, EBPF_64, arch_kernel.regs_arguments);
  ebpf_jump(code, GATHERED);
  ebpf_label(code, COMPAT_ARGUMENTS);
  gather(code, EBPF_32, arch_kernel.regs_compat_arguments);
  ebpf_label(code, GATHERED);
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_10, SHAPE);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_2, offsetof(struct ebpf_shape, condition));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, 0, NO_CONDITION);
  ebpf_do(code, BPF_AND, BPF_REG_1, 7);
  ebpf_do(code, BPF_LSH, BPF_REG_1, 3);
  ebpf_move(code, BPF_REG_3, BPF_REG_10);
  ebpf_do_register(code, BPF_ADD, BPF_REG_3, BPF_REG_1);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_3, ARGUMENTS - 8);
  ebpf_if(code, BPF_JEQ, BPF_REG_1, 0, OUT);
  ebpf_label(code, NO_CONDITION);
  take_steps(code, ebpf);
}

/* sched_process_exec(task, former id, struct linux_binprm *): the name is in VALUE's first argument */
void program_capture_exec(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_load(code, EBPF_64, BPF_REG_6, BPF_REG_1, 16);
  part_current_task(code, ebpf);
  part_look_up(code, ebpf->tasks, TASK_KEY);
  ebpf_if(code, BPF_JEQ, BPF_REG_0, 0, OUT);
  no_arguments(code);
  part_copy_kernel(code, ARGUMENTS, 8, BPF_REG_6, ebpf->layout->program_name, LOST);
  ebpf_set(code, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, RESULT, BPF_REG_1);
  ebpf_set(code, BPF_REG_1, EBPF_SLOTS);
  find_shape(code, ebpf);
  find_piece(code, ebpf);
  take_steps(code, ebpf);
}
