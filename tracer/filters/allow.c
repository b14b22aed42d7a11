/* For each ABI the numbers fall into segments that get the same answer; the program finds the segment by halving, so that a
   call costs about ten instructions at most. A call that always passes costs nothing at all on Linux 5.11 or later: the
   kernel finds such calls out in advance (seccomp_cache_prepare() in kernel/seccomp.c). */
#include "filters/allow.h"

#include <linux/bpf_common.h>
#include <stddef.h>
#include <string.h>

enum { SEGMENTS_MAX = 2 * ALLOW_NUMBERS + 2, FAR = 255 /* the longest conditional jump */ };

struct segment {
  uint32_t start;
  enum arch_watch watch;
  uint8_t null; /* of struct allow */
};

struct writer {
  struct sock_filter *program;
  unsigned length;
  bool full;
};

static void put(struct writer *writer, struct sock_filter instruction) {
  if (writer->length == BPF_MAXINSNS) writer->full = true;
  else writer->program[writer->length++] = instruction;
}

static void put_return(struct writer *writer, bool pass) {
  put(writer, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                           pass ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRACE | ALLOW_MARK));
}

/* The low half of the first argument; all machines that we know are little-endian. */
enum { FIRST_ARGUMENT = offsetof(struct seccomp_data, args) };

/* Both halves of the argument. */
static void put_null(struct writer *writer, unsigned argument) {
  unsigned low = offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t);
  put(writer, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low));
  put(writer, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3));
  put(writer, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low + 4));
  put(writer, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1));
  put_return(writer, true);
  put_return(writer, false);
}

static void put_answer(struct writer *writer, enum arch_watch watch, uint8_t null) {
  if (watch == ARCH_WATCH_NEVER && null > 0) {
    put_null(writer, null - 1U);
    return;
  }
  switch (watch) {
    case ARCH_WATCH_NEVER:
      put_return(writer, true);
      return;
    case ARCH_WATCH_ALWAYS:
      put_return(writer, false);
      return;
    case ARCH_WATCH_UNTRACED:
      put(writer, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIRST_ARGUMENT));
      put(writer, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_UNTRACED, 0, 1));
      break;
    case ARCH_WATCH_SET_SECCOMP:
      put(writer, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIRST_ARGUMENT));
      put(writer, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KERNEL_PR_SET_SECCOMP, 0, 1));
      break;
  }
  put_return(writer, false);
  put_return(writer, true);
}

/* Answer for segments first..last, the number being in the accumulator. */
static void put_tree(struct writer *writer, const struct segment *segments, int first, int last) {
  if (first == last || writer->full) {
    put_answer(writer, segments[first].watch, segments[first].null);
    return;
  }
  int middle = (first + last + 1) / 2;
  unsigned branch = writer->length;
  put(writer, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, segments[middle].start, 0, 0));
  put(writer, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0)); /* only used if the way is far */
  put_tree(writer, segments, first, middle - 1);
  if (writer->full) return;
  unsigned lower = writer->length - branch - 2;
  struct sock_filter *here = &writer->program[branch];
  if (lower <= FAR) {
    memmove(here + 1, here + 2, lower * sizeof *here);
    writer->length--;
    here[0].jt = (unsigned char)lower;
  } else {
    here[0].jf = 1;
    here[1].k = lower;
  }
  put_tree(writer, segments, middle, last);
}

static int add_segment(struct segment *segments, int count, uint32_t start, enum arch_watch watch, uint8_t null) {
  if (count > 0 && segments[count - 1].watch == watch && segments[count - 1].null == null) return count;
  segments[count] = (struct segment){start, watch, null};
  return count + 1;
}

/* The segments of one ABI; its numbers begin at `base`. */
static int add_abi(struct segment *segments, int count, const struct allow *allow, int abi, uint32_t base) {
  for (int nr = 0; nr < ALLOW_NUMBERS; nr++) {
    struct arch_call call = {.abi = abi, .nr = nr};
    enum arch_watch watch = allow->pass[abi][nr] ? arch_watch(&call) : ARCH_WATCH_ALWAYS;
    count = add_segment(segments, count, base + (uint32_t)nr, watch, allow->null[abi][nr]);
  }
  return add_segment(segments, count, base + ALLOW_NUMBERS, ARCH_WATCH_ALWAYS, 0);
}

unsigned short allow_program(const struct allow *allow, struct sock_filter *program) {
  struct writer writer = {.program = program};
  put(&writer, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
  for (int abi = 0; abi < arch_abi_count;) {
    static struct segment segments[2 * SEGMENTS_MAX];
    uint32_t machine = arch_audit(abi);
    int count = 0;
    /* ABIs that share a machine's number stand side by side, the lower numbers first. */
    for (; abi < arch_abi_count && arch_audit(abi) == machine; abi++)
      count = add_abi(segments, count, allow, abi, arch_number_base(abi));
    unsigned branch = writer.length;
    put(&writer, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, machine, 1, 0));
    put(&writer, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
    put(&writer, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    put_tree(&writer, segments, 0, count - 1);
    if (writer.full) return 0;
    program[branch + 1].k = writer.length - branch - 2;
  }
  put_return(&writer, false);
  return writer.full ? 0 : (unsigned short)writer.length;
}
