/* The programs that capture what calls with paths name, when the call ends: the strings and structures in the task's memory, and the
   names of the directories that the paths begin in. A name is a walk up the kernel's own tree (d_path() in fs/d_path.c does the same),
   a component at a time, last one first. Everything is read with helpers that fail where there is nothing to read. */
#include "ebpf_layout.h"
#include "ebpf_programs.h"

#include <stddef.h>

/* Registers, while steps are taken. */
enum { STEP_INDEX = BPF_REG_6, ENTRY = BPF_REG_7, MOUNT = BPF_REG_8, PIECE = BPF_REG_9 };

/* The stack, in place of what counting has there. REGS and SCRATCH are the same. */
enum {
  SHAPE = WANTED, ARGUMENTS = -120, ONE = -128, VALUE = -136, DEPTH = -144, LINKS = -160, RESULT = -168, MESSAGES = -176, ROUND = -184,
  STEP = -192, COPY_END = -192,
};

enum { DEPTH_MOST = 48 /* components and mounts of a name */, WAKE_EACH = 64 /* calls: then the tracer is woken */ };

#define FIELD(member) (int)offsetof(struct ebpf_capture, member)

static int copy_size(void) { return (arch_kernel.regs_end + 7) / 8 * 8; }
static int copy(void) { return COPY_END - copy_size(); }

/* SCRATCH = the eight bytes at base + offset in kernel memory, also in r1, or go NO_LINK. */
static void follow(struct ebpf_code *code, int base, int offset) {
  part_copy_kernel(code, SCRATCH, 8, base, offset, NO_LINK);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, SCRATCH);
}

static void set_field(struct ebpf_code *code, enum ebpf_size size, int field, int32_t value) {
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
  set_field(code, EBPF_8, FIELD(data), 0);
}

/* Send the piece, with its number. */
static void emit(struct ebpf_code *code, const struct ebpf *ebpf, int flags) {
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
  static const int labels[] = {[EBPF_STEP_TEXT] = TEXT,     [EBPF_STEP_BASE] = LINK,   [EBPF_STEP_WORKING] = WORKING,
                               [EBPF_STEP_OPENED] = OPENED, [EBPF_STEP_BYTES] = BYTES, [EBPF_STEP_KERNEL_TEXT] = KERNEL_TEXT,
                               [EBPF_STEP_EXECUTED] = EXECUTED, [EBPF_STEP_ADDRESS] = ADDRESS, [EBPF_STEP_HEADERS] = HEADERS,
                               [EBPF_STEP_NARROW_HEADERS] = NARROW_HEADERS, [EBPF_STEP_SOCKETCALL] = SOCKETCALL};
  ebpf_do(code, BPF_AND, BPF_REG_1, 0xff);
  for (int step = EBPF_STEP_TEXT; step <= EBPF_STEP_EXECUTED; step++) ebpf_if(code, BPF_JEQ, BPF_REG_1, step, labels[step]);
  ebpf_jump(code, STEPS);
}

static void read_piece(struct ebpf_code *code, int helper) {
  ebpf_move(code, BPF_REG_1, PIECE);
  ebpf_do(code, BPF_ADD, BPF_REG_1, FIELD(data));
  ebpf_load(code, EBPF_64, BPF_REG_3, BPF_REG_10, VALUE);
  ebpf_call(code, helper);
}

/* A string of the task's, or of the kernel's. One that cannot be read is empty; its length counts the NUL. */
static void text(struct ebpf_code *code, int helper) {
  set_field(code, EBPF_32, FIELD(piece), EBPF_PIECE_TEXT);
  ebpf_set(code, BPF_REG_2, EBPF_PIECE_DATA + 1); /* full: it is longer */
  read_piece(code, helper);
  ebpf_if(code, BPF_JSLT, BPF_REG_0, 1, NO_TEXT);
  ebpf_store(code, EBPF_32, PIECE, FIELD(length), BPF_REG_0);
  ebpf_jump(code, EMIT);
}

/* r2 = argument n + 1 for n in the step's size, or 1 for 0. */
static void second_argument(struct ebpf_code *code) {
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_10, STEP);
  ebpf_do(code, BPF_RSH, BPF_REG_2, 16 - 3);
  ebpf_do(code, BPF_AND, BPF_REG_2, 7 << 3);
  ebpf_move(code, BPF_REG_3, BPF_REG_10);
  ebpf_do_register(code, BPF_ADD, BPF_REG_3, BPF_REG_2);
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_3, ARGUMENTS - 8);
  ebpf_truncate(code, BPF_REG_2);
}

/* Memory at VALUE: of a certain size, or an address whose length is in r2. */
static void bytes(struct ebpf_code *code) {
  ebpf_label(code, ADDRESS);
  second_argument(code);
  ebpf_label(code, ADDRESS_AT);
  ebpf_if(code, BPF_JLE, BPF_REG_2, EBPF_ADDRESS, BYTES_AT);
  ebpf_set(code, BPF_REG_2, EBPF_ADDRESS);
  ebpf_jump(code, BYTES_AT);
  ebpf_label(code, BYTES);
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_10, STEP);
  ebpf_do(code, BPF_RSH, BPF_REG_2, 16);
  ebpf_do(code, BPF_AND, BPF_REG_2, EBPF_ADDRESS - 1);
  ebpf_label(code, BYTES_AT);
  set_field(code, EBPF_32, FIELD(piece), EBPF_PIECE_BYTES);
  ebpf_store(code, EBPF_32, PIECE, FIELD(length), BPF_REG_2);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, VALUE);
  ebpf_store(code, EBPF_64, PIECE, FIELD(key), BPF_REG_1);
  read_piece(code, BPF_FUNC_probe_read_user);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, NO_TEXT);
  ebpf_jump(code, EMIT);
}

/* struct msghdr begins with a pointer and a length, and stands first in struct mmsghdr (<linux/socket.h>): r3 and r2. */
static void read_headers(struct ebpf_code *code, const struct ebpf *ebpf, bool narrow) {
  int pointer = narrow ? 4 : 8, all = narrow ? 32 : 64;
  ebpf_label(code, narrow ? NARROW_HEADERS : HEADERS);
  second_argument(code);
  if (narrow) ebpf_label(code, SOCKETCALL_MESSAGES);
  ebpf_store(code, EBPF_64, BPF_REG_10, MESSAGES, BPF_REG_2);
  ebpf_set(code, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, ROUND, BPF_REG_1);
  ebpf_label(code, narrow ? NARROW_HEADER : HEADER);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, ROUND);
  ebpf_if(code, BPF_JGE, BPF_REG_1, EBPF_HEADERS, STEPS);
  ebpf_load(code, EBPF_64, BPF_REG_2, BPF_REG_10, MESSAGES);
  ebpf_if_register(code, BPF_JGE, BPF_REG_1, BPF_REG_2, STEPS);
  ebpf_do(code, BPF_ADD, BPF_REG_1, 1);
  ebpf_store(code, EBPF_64, BPF_REG_10, ROUND, BPF_REG_1);
  set_field(code, EBPF_32, FIELD(piece), EBPF_PIECE_BYTES);
  set_field(code, EBPF_32, FIELD(length), pointer + 4);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, VALUE);
  ebpf_store(code, EBPF_64, PIECE, FIELD(key), BPF_REG_1);
  ebpf_set(code, BPF_REG_2, pointer + 4);
  read_piece(code, BPF_FUNC_probe_read_user);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, NO_LINK);
  emit(code, ebpf, BPF_RB_NO_WAKEUP);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, VALUE);
  ebpf_do(code, BPF_ADD, BPF_REG_1, all);
  ebpf_store(code, EBPF_64, BPF_REG_10, VALUE, BPF_REG_1);
  ebpf_load(code, narrow ? EBPF_32 : EBPF_64, BPF_REG_3, PIECE, FIELD(data));
  ebpf_load(code, EBPF_32, BPF_REG_2, PIECE, FIELD(data) + pointer);
  ebpf_if(code, BPF_JEQ, BPF_REG_3, 0, narrow ? NARROW_HEADER : HEADER);
  ebpf_if(code, BPF_JEQ, BPF_REG_2, 0, narrow ? NARROW_HEADER : HEADER);
  ebpf_if(code, BPF_JLE, BPF_REG_2, EBPF_ADDRESS, narrow ? NARROW_READ : HEADER_READ);
  ebpf_set(code, BPF_REG_2, EBPF_ADDRESS);
  ebpf_label(code, narrow ? NARROW_READ : HEADER_READ);
  ebpf_store(code, EBPF_64, PIECE, FIELD(key), BPF_REG_3);
  ebpf_store(code, EBPF_32, PIECE, FIELD(length), BPF_REG_2);
  ebpf_move(code, BPF_REG_1, PIECE);
  ebpf_do(code, BPF_ADD, BPF_REG_1, FIELD(data));
  ebpf_call(code, BPF_FUNC_probe_read_user);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, narrow ? NARROW_HEADER : HEADER); /* the address is missing then */
  emit(code, ebpf, BPF_RB_NO_WAKEUP);
  ebpf_jump(code, narrow ? NARROW_HEADER : HEADER);
}

/* The numbers are those of SYS_* in <linux/net.h>; the arguments are unsigned longs of a 32-bit ABI. */
static void socketcall(struct ebpf_code *code, const struct ebpf *ebpf) {
  enum { BIND = 2, CONNECT = 3, SENDTO = 11, SENDMSG = 16, SENDMMSG = 20, SIZE = 6 * 4 };
  ebpf_label(code, SOCKETCALL);
  set_field(code, EBPF_32, FIELD(piece), EBPF_PIECE_BYTES);
  set_field(code, EBPF_32, FIELD(length), SIZE);
  ebpf_set(code, BPF_REG_2, SIZE);
  read_piece(code, BPF_FUNC_probe_read_user);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, NO_LINK);
  emit(code, ebpf, BPF_RB_NO_WAKEUP);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, ARGUMENTS); /* which call: its first argument */
  ebpf_load(code, EBPF_32, BPF_REG_3, PIECE, FIELD(data) + 4);
  ebpf_load(code, EBPF_32, BPF_REG_2, PIECE, FIELD(data) + 8);
  ebpf_store(code, EBPF_64, BPF_REG_10, VALUE, BPF_REG_3);
  ebpf_if(code, BPF_JEQ, BPF_REG_1, BIND, ADDRESS_AT);
  ebpf_if(code, BPF_JEQ, BPF_REG_1, CONNECT, ADDRESS_AT);
  ebpf_if(code, BPF_JEQ, BPF_REG_1, SENDMMSG, SOCKETCALL_MESSAGES);
  ebpf_set(code, BPF_REG_2, 1);
  ebpf_if(code, BPF_JEQ, BPF_REG_1, SENDMSG, SOCKETCALL_MESSAGES);
  ebpf_if(code, BPF_JNE, BPF_REG_1, SENDTO, NO_LINK);
  ebpf_load(code, EBPF_32, BPF_REG_3, PIECE, FIELD(data) + 16);
  ebpf_load(code, EBPF_32, BPF_REG_2, PIECE, FIELD(data) + 20);
  ebpf_store(code, EBPF_64, BPF_REG_10, VALUE, BPF_REG_3);
  ebpf_if(code, BPF_JEQ, BPF_REG_3, 0, NO_LINK);
  ebpf_jump(code, ADDRESS_AT);
}

/* r1 = the current task's member. */
static void of_task(struct ebpf_code *code, int offset) {
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, TASK_KEY);
  follow(code, BPF_REG_1, offset);
}

/* ENTRY and MOUNT from the struct path at r1 + offset; then WALK. */
static void begin_walk(struct ebpf_code *code, const struct ebpf_layout *layout, int offset) {
  part_copy_kernel(code, LINKS, 16, BPF_REG_1, offset, NO_LINK);
  ebpf_load(code, EBPF_64, ENTRY, BPF_REG_10, LINKS + layout->path_entry);
  ebpf_load(code, EBPF_64, MOUNT, BPF_REG_10, LINKS + layout->path_mount);
  set_field(code, EBPF_32, FIELD(length), 0);
  ebpf_set(code, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, DEPTH, BPF_REG_1);
  follow(code, ENTRY, layout->entry_hash);
  ebpf_store(code, EBPF_64, BPF_REG_10, LINKS, BPF_REG_1);
  set_field(code, EBPF_32, FIELD(deleted), 0);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, LINKS);
  ebpf_if(code, BPF_JNE, BPF_REG_1, 0, WALK);
  set_field(code, EBPF_32, FIELD(deleted), 1);
  ebpf_jump(code, WALK);
}

/* The file whose descriptor is in VALUE; what is no file has no name, and ends in NO_LINK. */
static void descriptor(struct ebpf_code *code, const struct ebpf_layout *layout) {
  of_task(code, layout->task_files);
  follow(code, BPF_REG_1, layout->files_table);
  ebpf_move(code, ENTRY, BPF_REG_1);
  part_copy_kernel(code, SCRATCH, 4, ENTRY, layout->table_size, NO_LINK);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_10, SCRATCH);
  ebpf_load(code, EBPF_32, BPF_REG_2, BPF_REG_10, VALUE);
  ebpf_if_register(code, BPF_JGE, BPF_REG_2, BPF_REG_1, NO_LINK);
  follow(code, ENTRY, layout->table_files);
  ebpf_load(code, EBPF_32, BPF_REG_2, BPF_REG_10, VALUE);
  ebpf_do(code, BPF_LSH, BPF_REG_2, 3);
  ebpf_do_register(code, BPF_ADD, BPF_REG_1, BPF_REG_2);
  follow(code, BPF_REG_1, 0);
  ebpf_if(code, BPF_JEQ, BPF_REG_1, 0, NO_LINK);
  begin_walk(code, layout, layout->file_path);
}

/* The places that names begin at. */
static void begin_links(struct ebpf_code *code, const struct ebpf_layout *layout) {
  ebpf_label(code, OPENED);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, RESULT);
  ebpf_if(code, BPF_JSLT, BPF_REG_1, 0, STEPS);
  ebpf_store(code, EBPF_64, BPF_REG_10, VALUE, BPF_REG_1);
  ebpf_store(code, EBPF_64, PIECE, FIELD(key), BPF_REG_1);
  set_field(code, EBPF_32, FIELD(piece), EBPF_PIECE_LINK);
  ebpf_jump(code, DESCRIPTOR);

  /* What came before is the path. */
  ebpf_label(code, LINK);
  ebpf_load(code, EBPF_8, BPF_REG_1, PIECE, FIELD(data));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, '/', ROOT);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_10, VALUE);
  ebpf_if32(code, BPF_JEQ, BPF_REG_1, EBPF_WORKING, WORKING);
  set_field(code, EBPF_32, FIELD(piece), EBPF_PIECE_LINK);
  ebpf_label(code, DESCRIPTOR);
  descriptor(code, layout);

  ebpf_label(code, ROOT);
  set_field(code, EBPF_64, FIELD(key), EBPF_ROOT);
  set_field(code, EBPF_32, FIELD(piece), EBPF_PIECE_LINK);
  of_task(code, layout->task_fs);
  begin_walk(code, layout, layout->fs_root);

  ebpf_label(code, WORKING);
  ebpf_load(code, EBPF_8, BPF_REG_1, PIECE, FIELD(data));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, '/', ROOT);
  set_field(code, EBPF_64, FIELD(key), EBPF_WORKING);
  set_field(code, EBPF_32, FIELD(piece), EBPF_PIECE_LINK);
  of_task(code, layout->task_fs);
  begin_walk(code, layout, layout->fs_pwd);

  ebpf_label(code, EXECUTED);
  set_field(code, EBPF_64, FIELD(key), EBPF_EXECUTED);
  set_field(code, EBPF_32, FIELD(piece), EBPF_PIECE_LINK);
  of_task(code, layout->task_mm);
  follow(code, BPF_REG_1, layout->mm_exe);
  begin_walk(code, layout, layout->file_path);
}

/* From ENTRY on MOUNT up to the root of all mounts. Each component with its NUL goes behind the data. */
static void walk(struct ebpf_code *code, const struct ebpf_layout *layout) {
  ebpf_label(code, WALK);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, DEPTH);
  ebpf_if(code, BPF_JGE, BPF_REG_1, DEPTH_MOST, NO_LINK);
  ebpf_do(code, BPF_ADD, BPF_REG_1, 1);
  ebpf_store(code, EBPF_64, BPF_REG_10, DEPTH, BPF_REG_1);
  follow(code, MOUNT, layout->mount_root);
  ebpf_if_register(code, BPF_JEQ, BPF_REG_1, ENTRY, CROSS);
  follow(code, ENTRY, layout->entry_parent);
  ebpf_if_register(code, BPF_JEQ, BPF_REG_1, ENTRY, NO_LINK); /* a pipe, a socket, memory */
  ebpf_store(code, EBPF_64, BPF_REG_10, LINKS, BPF_REG_1);
  follow(code, ENTRY, layout->entry_name);
  ebpf_move(code, BPF_REG_3, BPF_REG_1);
  ebpf_load(code, EBPF_32, BPF_REG_2, PIECE, FIELD(length));
  ebpf_if(code, BPF_JGE, BPF_REG_2, EBPF_PIECE_DATA, NO_LINK);
  ebpf_move(code, BPF_REG_1, PIECE);
  ebpf_do_register(code, BPF_ADD, BPF_REG_1, BPF_REG_2);
  ebpf_do(code, BPF_ADD, BPF_REG_1, FIELD(data));
  ebpf_set(code, BPF_REG_2, EBPF_PIECE_SPARE);
  ebpf_call(code, BPF_FUNC_probe_read_kernel_str);
  ebpf_if(code, BPF_JSLT, BPF_REG_0, 1, NO_LINK);
  ebpf_load(code, EBPF_32, BPF_REG_1, PIECE, FIELD(length));
  ebpf_do_register(code, BPF_ADD, BPF_REG_1, BPF_REG_0);
  ebpf_store(code, EBPF_32, PIECE, FIELD(length), BPF_REG_1);
  ebpf_load(code, EBPF_64, ENTRY, BPF_REG_10, LINKS);
  ebpf_jump(code, WALK);

  ebpf_label(code, CROSS);
  ebpf_do(code, BPF_ADD, MOUNT, -layout->mount_self);
  follow(code, MOUNT, layout->mount_point);
  ebpf_move(code, ENTRY, BPF_REG_1);
  follow(code, MOUNT, layout->mount_parent);
  ebpf_if_register(code, BPF_JEQ, BPF_REG_1, MOUNT, EMIT);
  ebpf_move(code, MOUNT, BPF_REG_1);
  ebpf_do(code, BPF_ADD, MOUNT, layout->mount_self);
  ebpf_jump(code, WALK);
}

/* The last piece has the arguments. Every now and then the tracer is woken, that it may read before there is no more room. */
static void end(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_label(code, STEPS_DONE);
  set_field(code, EBPF_32, FIELD(piece), EBPF_PIECE_END);
  set_field(code, EBPF_32, FIELD(length), 6 * 8);
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
  emit(code, ebpf, BPF_RB_NO_WAKEUP);
  ebpf_jump(code, OUT);
  ebpf_label(code, EMITTED);
  emit(code, ebpf, BPF_RB_FORCE_WAKEUP);
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

  ebpf_label(code, TEXT);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, VALUE);
  ebpf_if(code, BPF_JEQ, BPF_REG_1, 0, NO_LINK);
  text(code, BPF_FUNC_probe_read_user_str);
  ebpf_label(code, KERNEL_TEXT);
  set_field(code, EBPF_64, FIELD(key), 0);
  text(code, BPF_FUNC_probe_read_kernel_str);
  ebpf_label(code, NO_TEXT);
  set_field(code, EBPF_32, FIELD(length), 0);
  set_field(code, EBPF_8, FIELD(data), 0);
  ebpf_jump(code, EMIT);
  bytes(code);
  read_headers(code, ebpf, false);
  read_headers(code, ebpf, true);
  socketcall(code, ebpf);
  begin_links(code, ebpf->layout);
  walk(code, ebpf->layout);

  ebpf_label(code, NO_LINK); /* nothing is said of what is not there */
  set_field(code, EBPF_8, FIELD(data), 0);
  ebpf_jump(code, STEPS);
  ebpf_label(code, EMIT);
  emit(code, ebpf, BPF_RB_NO_WAKEUP);
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
