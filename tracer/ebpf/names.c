/* The part of the capturing programs that finds the names of files. A name is a walk up the kernel's own tree, as d_path() of fs/d_path.c
   makes it, but without its locks: a component at a time, the last one first. */
#include "ebpf/capture.h"

enum { DEPTH_MOST = 48 /* components and mounts of a name: more, and the verifier takes its time */ };

/* SCRATCH = the eight bytes at base + offset in kernel memory, also in r1, or go NO_LINK. */
static void follow(struct ebpf_code *code, int base, int offset) {
  part_copy_kernel(code, SCRATCH, 8, base, offset, NO_LINK);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, SCRATCH);
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
  capture_set(code, EBPF_32, FIELD(length), 0);
  ebpf_set(code, BPF_REG_1, 0);
  ebpf_store(code, EBPF_64, BPF_REG_10, DEPTH, BPF_REG_1);
  follow(code, ENTRY, layout->entry_hash);
  ebpf_store(code, EBPF_64, BPF_REG_10, LINKS, BPF_REG_1);
  capture_set(code, EBPF_32, FIELD(deleted), 0);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, LINKS);
  ebpf_if(code, BPF_JNE, BPF_REG_1, 0, WALK);
  capture_set(code, EBPF_32, FIELD(deleted), 1);
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
  capture_set(code, EBPF_32, FIELD(piece), EBPF_PIECE_LINK);
  ebpf_jump(code, DESCRIPTOR);

  /* What came before is the path. */
  ebpf_label(code, LINK);
  ebpf_load(code, EBPF_8, BPF_REG_1, PIECE, FIELD(data));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, '/', ROOT);
  ebpf_load(code, EBPF_32, BPF_REG_1, BPF_REG_10, VALUE);
  ebpf_if32(code, BPF_JEQ, BPF_REG_1, EBPF_WORKING, WORKING);
  capture_set(code, EBPF_32, FIELD(piece), EBPF_PIECE_LINK);
  ebpf_label(code, DESCRIPTOR);
  descriptor(code, layout);

  ebpf_label(code, ROOT);
  capture_set(code, EBPF_64, FIELD(key), EBPF_ROOT);
  capture_set(code, EBPF_32, FIELD(piece), EBPF_PIECE_LINK);
  of_task(code, layout->task_fs);
  begin_walk(code, layout, layout->fs_root);

  ebpf_label(code, WORKING);
  ebpf_load(code, EBPF_8, BPF_REG_1, PIECE, FIELD(data));
  ebpf_if(code, BPF_JEQ, BPF_REG_1, '/', ROOT);
  capture_set(code, EBPF_64, FIELD(key), EBPF_WORKING);
  capture_set(code, EBPF_32, FIELD(piece), EBPF_PIECE_LINK);
  of_task(code, layout->task_fs);
  begin_walk(code, layout, layout->fs_pwd);

  ebpf_label(code, EXECUTED);
  capture_set(code, EBPF_64, FIELD(key), EBPF_EXECUTED);
  capture_set(code, EBPF_32, FIELD(piece), EBPF_PIECE_LINK);
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

void capture_names(struct ebpf_code *code, const struct ebpf_layout *layout) {
  begin_links(code, layout);
  walk(code, layout);
}
