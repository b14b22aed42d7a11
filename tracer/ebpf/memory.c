/* The part of the capturing programs that copies a task's memory: strings, addresses of sockets, and structures that lead to those. */
#include "ebpf/capture.h"

static void read_piece(struct ebpf_code *code, int helper) {
  ebpf_move(code, BPF_REG_1, PIECE);
  ebpf_do(code, BPF_ADD, BPF_REG_1, FIELD(data));
  ebpf_load(code, EBPF_64, BPF_REG_3, BPF_REG_10, VALUE);
  ebpf_call(code, helper);
}

/* A string of the task's, or of the kernel's. One that cannot be read is empty; its length counts the NUL. */
static void text(struct ebpf_code *code, int helper) {
  capture_set(code, EBPF_32, FIELD(piece), EBPF_PIECE_TEXT);
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
  capture_set(code, EBPF_32, FIELD(piece), EBPF_PIECE_BYTES);
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
  capture_set(code, EBPF_32, FIELD(piece), EBPF_PIECE_BYTES);
  capture_set(code, EBPF_32, FIELD(length), pointer + 4);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, VALUE);
  ebpf_store(code, EBPF_64, PIECE, FIELD(key), BPF_REG_1);
  ebpf_set(code, BPF_REG_2, pointer + 4);
  read_piece(code, BPF_FUNC_probe_read_user);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, NO_LINK);
  capture_emit(code, ebpf, BPF_RB_NO_WAKEUP);
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
  capture_emit(code, ebpf, BPF_RB_NO_WAKEUP);
  ebpf_jump(code, narrow ? NARROW_HEADER : HEADER);
}

/* The numbers are those of SYS_* in <linux/net.h>; the arguments are unsigned longs of a 32-bit ABI. */
static void socketcall(struct ebpf_code *code, const struct ebpf *ebpf) {
  enum { BIND = 2, CONNECT = 3, SENDTO = 11, SENDMSG = 16, SENDMMSG = 20, SIZE = 6 * 4 };
  ebpf_label(code, SOCKETCALL);
  capture_set(code, EBPF_32, FIELD(piece), EBPF_PIECE_BYTES);
  capture_set(code, EBPF_32, FIELD(length), SIZE);
  ebpf_set(code, BPF_REG_2, SIZE);
  read_piece(code, BPF_FUNC_probe_read_user);
  ebpf_if(code, BPF_JNE, BPF_REG_0, 0, NO_LINK);
  capture_emit(code, ebpf, BPF_RB_NO_WAKEUP);
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

void capture_memory(struct ebpf_code *code, const struct ebpf *ebpf) {
  ebpf_label(code, TEXT);
  ebpf_load(code, EBPF_64, BPF_REG_1, BPF_REG_10, VALUE);
  ebpf_if(code, BPF_JEQ, BPF_REG_1, 0, NO_LINK);
  text(code, BPF_FUNC_probe_read_user_str);
  ebpf_label(code, KERNEL_TEXT);
  capture_set(code, EBPF_64, FIELD(key), 0);
  text(code, BPF_FUNC_probe_read_kernel_str);
  bytes(code);
  read_headers(code, ebpf, false);
  read_headers(code, ebpf, true);
  socketcall(code, ebpf);
}
