/* What the capturing programs send, piece by piece, becomes facts about paths. */
#include "ebpf.h"
#include "ebpf_layout.h"
#include "intent.h"

#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KEPT = TRACEE_MEMORY + TRACEE_LINKS, HEADER = offsetof(struct ebpf_capture, data), ERRNO_MOST = 4095 };

/* What a processor has sent of a call that has not ended. */
struct assembly {
  uint32_t number; /* of its last piece */
  bool broken;     /* a piece is missing */
  unsigned count;
  struct ebpf_capture *pieces[KEPT];
};

struct ebpf_pieces {
  struct assembly *assemblies; /* by processor */
  volatile unsigned long *consumer, *producer;
  unsigned char *data; /* twice in a row, so that a piece is never in two parts */
  size_t page;
};

/* Steps for an operand (README.md, "learn: paths"); at most EBPF_STEPS for all of a call. */
static unsigned add_steps(uint32_t *steps, unsigned count, const struct paths_operand *operand, bool narrow) {
  unsigned place[3] = {(unsigned)operand->places[0] << 8, (unsigned)operand->places[1] << 8, (unsigned)operand->places[2] << 8};
  unsigned second = (unsigned)(operand->places[2] + 1) << 16;
  switch (operand->letter) {
    case 'b':
    case 'k':
    case 's':
      steps[count++] = EBPF_STEP_ADDRESS | place[1] | second;
      steps[count++] = EBPF_STEP_WORKING;
      return count;
    case 'm':
    case 'M':
      steps[count++] = (narrow ? EBPF_STEP_NARROW_HEADERS : EBPF_STEP_HEADERS) | place[1] | second;
      steps[count++] = EBPF_STEP_WORKING;
      return count;
    case 'q':
      steps[count++] = EBPF_STEP_SOCKETCALL | place[1];
      steps[count++] = EBPF_STEP_WORKING;
      return count;
  }
  if (operand->places[1] >= 0) steps[count++] = EBPF_STEP_TEXT | place[1];
  bool by_handle = operand->letter == 'o' && operand->places[1] < 0;
  if (!by_handle) steps[count++] = operand->places[0] < 0 ? EBPF_STEP_WORKING : EBPF_STEP_BASE | place[0];
  if (operand->letter == 'O') steps[count++] = EBPF_STEP_BYTES | place[2] | sizeof(uint64_t) << 16;
  if (strchr("oOt", operand->letter)) steps[count++] = EBPF_STEP_OPENED;
  return count;
}

static void write_shapes(struct ebpf *ebpf, const struct paths *paths) {
  for (int slot = 0; slot < EBPF_SLOTS; slot++) {
    struct arch_call call = {.abi = slot / RECORD_NUMBERS, .nr = slot % RECORD_NUMBERS};
    const struct paths_shape *shape = call.abi < arch_abi_count ? paths_shape(paths, &call) : NULL;
    if (!shape) continue;
    uint32_t steps[2 * EBPF_STEPS] = {0};
    unsigned count = 0;
    for (unsigned i = 0; i < shape->count; i++)
      count = add_steps(steps, count, &shape->operands[i], arch_pointer_size(call.abi) == 4);
    for (unsigned i = EBPF_STEPS; i-- > 0;) ebpf->all_shapes[slot].steps[i] = steps[i];
    ebpf->all_shapes[slot].condition = (uint32_t)(paths_condition(shape) + 1);
  }
  volatile struct ebpf_shape *execution = &ebpf->all_shapes[EBPF_SLOTS];
  execution->steps[0] = EBPF_STEP_KERNEL_TEXT;
  execution->steps[1] = EBPF_STEP_WORKING;
  execution->steps[2] = EBPF_STEP_EXECUTED;
}

bool ebpf_pieces_open(struct ebpf *ebpf, const struct paths *paths) {
  struct ebpf_pieces *pieces = calloc(1, sizeof *pieces);
  if (!pieces) return false;
  ebpf->reader = pieces;
  pieces->page = (size_t)sysconf(_SC_PAGESIZE);
  pieces->assemblies = calloc(ebpf->processors, sizeof *pieces->assemblies);
  void *consumer = mmap(NULL, pieces->page, PROT_READ | PROT_WRITE, MAP_SHARED, ebpf->ring, 0);
  void *producer = mmap(NULL, pieces->page + 2 * EBPF_RING, PROT_READ, MAP_SHARED, ebpf->ring, (off_t)pieces->page);
  if (!pieces->assemblies || consumer == MAP_FAILED || producer == MAP_FAILED) return false;
  pieces->consumer = consumer;
  pieces->producer = producer;
  pieces->data = (unsigned char *)producer + pieces->page;
  write_shapes(ebpf, paths);
  return true;
}

/* The components of a name come last one first, each with its NUL. */
static void write_name(const struct ebpf_capture *piece, char *name, size_t size) {
  size_t used = 0;
  for (const char *end = piece->data + piece->length; end > piece->data;) {
    const char *start = end - 1;
    while (start > piece->data && start[-1] != 0) start--;
    used += (size_t)snprintf(name + used, size - used, "/%s", start);
    end = start;
  }
  snprintf(name + used, size - used, "%s%s", used ? "" : "/", used && piece->deleted ? " (deleted)" : "");
}

static void add_link(struct tracee_capture *capture, const struct ebpf_capture *piece) {
  static char names[TRACEE_LINKS][2 * TRACEE_PATH_MAX];
  unsigned at = capture->links++;
  char *name = capture->link[at].name;
  switch ((int64_t)piece->key) {
    case EBPF_ROOT:
      strcpy(name, "root");
      break;
    case EBPF_WORKING:
      strcpy(name, "cwd");
      break;
    case EBPF_EXECUTED:
      strcpy(name, "exe");
      break;
    default:
      snprintf(name, sizeof capture->link[at].name, "fd/%d", (int)piece->key);
  }
  write_name(piece, names[at], sizeof names[at]);
  capture->link[at].path = names[at];
}

static void collect(const struct assembly *assembly, struct tracee_capture *capture) {
  capture->memories = capture->links = 0;
  for (unsigned i = 0; i < assembly->count; i++) {
    const struct ebpf_capture *piece = assembly->pieces[i];
    if (piece->piece == EBPF_PIECE_LINK) {
      if (capture->links < TRACEE_LINKS) add_link(capture, piece);
    } else if (capture->memories < TRACEE_MEMORY) {
      capture->memory[capture->memories].address = piece->key;
      capture->memory[capture->memories].data = piece->data;
      capture->memory[capture->memories++].length = piece->length;
    }
  }
}

/* An execve that has succeeded: its file as it was named, and the program. execveat(2) of a descriptor has another name here. */
static void record_execution(struct facts *facts) {
  static char path[TRACEE_PATH_MAX], base[TRACEE_PATH_MAX], exe[TRACEE_PATH_MAX];
  static struct tracee_name name;
  bool named = tracee_path(0, 0, path) == TRACEE_OK && strncmp(path, "/dev/fd/", 8) != 0 &&
               tracee_link(0, *path == '/' ? "root" : "cwd", base);
  if (!named) {
    facts->unreadable++;
  } else if (!tracee_name(&name, base, path)) {
    facts->longer++;
  } else {
    facts->folded += name.folded;
    facts_file(facts, name.text, FACTS_EXECUTE, true);
  }
  if (tracee_link(0, "exe", exe)) facts_program(facts, exe);
  else facts->unreadable++;
}

static void record_end(struct paths *paths, const struct ebpf_capture *end) {
  static struct intent intent; /* large */
  unsigned long long values[6];
  int64_t result = (int64_t)end->key;
  bool failed = result < 0 && result >= -ERRNO_MOST;
  struct arch_call call = {.abi = (int)end->slot / RECORD_NUMBERS, .nr = (int)end->slot % RECORD_NUMBERS};
  const struct paths_shape *shape = paths_shape(paths, &call);
  if (!shape) return;
  memcpy(values, end->data, sizeof values);
  intent.compat = arch_pointer_size(call.abi) == 4;
  intent.facts = 0;
  intent.used = 0;
  for (unsigned i = 0; i < shape->count; i++) intent_read(&intent, 0, &shape->operands[i], values);
  intent_record(&intent, 0, result, failed, &paths->facts);
}

static void forget(struct assembly *assembly) {
  while (assembly->count > 0) free(assembly->pieces[--assembly->count]);
  assembly->broken = false;
}

static void take_end(struct paths *paths, struct assembly *assembly, const struct ebpf_capture *end) {
  static struct tracee_capture capture;
  if (assembly->broken) {
    paths->facts.left++;
    return;
  }
  collect(assembly, &capture);
  tracee_use(&capture);
  if (end->slot == EBPF_SLOTS) record_execution(&paths->facts);
  else record_end(paths, end);
  tracee_use(NULL);
}

static void take_piece(struct ebpf *ebpf, struct paths *paths, const struct ebpf_capture *piece, size_t size) {
  if (size < HEADER || piece->processor >= ebpf->processors) return;
  struct assembly *assembly = &ebpf->reader->assemblies[piece->processor];
  if (piece->number != ++assembly->number) assembly->broken = true;
  assembly->number = piece->number;
  if (piece->piece == EBPF_PIECE_END) {
    take_end(paths, assembly, piece);
    forget(assembly);
    return;
  }
  struct ebpf_capture *kept = assembly->count < KEPT ? malloc(size) : NULL;
  if (kept) memcpy(kept, piece, size);
  if (kept) assembly->pieces[assembly->count++] = kept;
  else assembly->broken = true;
}

/* The ring is as Documentation/bpf/ringbuf.rst says: each record has a header of eight bytes, whose first word is its length and
   two flags. */
bool ebpf_pieces_read(struct ebpf *ebpf, struct paths *paths) {
  struct ebpf_pieces *pieces = ebpf->reader;
  unsigned long at = *pieces->consumer, begin = at;
  unsigned long end = __atomic_load_n(pieces->producer, __ATOMIC_ACQUIRE);
  while (at < end) {
    const unsigned char *record = pieces->data + (at & (EBPF_RING - 1));
    uint32_t length = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);
    if (length & BPF_RINGBUF_BUSY_BIT) break;
    uint32_t size = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    if (!(length & BPF_RINGBUF_DISCARD_BIT))
      take_piece(ebpf, paths, (const struct ebpf_capture *)(record + BPF_RINGBUF_HDR_SZ), size);
    at += (size + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
    __atomic_store_n(pieces->consumer, at, __ATOMIC_RELEASE);
  }
  return at != begin;
}

void ebpf_pieces_finish(struct ebpf *ebpf, struct paths *paths) {
  ebpf_pieces_read(ebpf, paths);
  facts_finish(&paths->facts);
}
