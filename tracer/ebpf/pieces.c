/* The ring of pieces. Each processor has pieces of one call at a time in it, so they are collected by processor until the call's last one
   comes; by their numbers it is seen that one is missing. */
#include "ebpf/pieces.h"

#include <linux/bpf.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KEPT = TRACEE_MEMORY + TRACEE_LINKS, HEADER = offsetof(struct ebpf_capture, data) };

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
  const unsigned char *data; /* twice in a row, so that a piece is never in two parts */
  uint64_t taken;            /* calls */
};

bool ebpf_pieces_open(struct ebpf *ebpf) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  struct ebpf_pieces *pieces = calloc(1, sizeof *pieces);
  struct assembly *assemblies = calloc(ebpf->processors, sizeof *assemblies);
  void *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, ebpf->ring, 0);
  void *producer = mmap(NULL, page + 2 * EBPF_RING, PROT_READ, MAP_SHARED, ebpf->ring, (off_t)page);
  if (!pieces || !assemblies || consumer == MAP_FAILED || producer == MAP_FAILED) return false; /* the tracer ends */
  *pieces = (struct ebpf_pieces){assemblies, consumer, producer, (unsigned char *)producer + page, 0};
  ebpf->reader = pieces;
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

static void forget(struct assembly *assembly) {
  while (assembly->count > 0) free(assembly->pieces[--assembly->count]);
  assembly->broken = false;
}

static void take_end(struct ebpf_pieces *pieces, struct assembly *assembly, const struct ebpf_capture *end, ebpf_take *take, void *context) {
  static struct tracee_capture capture;
  if (!assembly->broken) {
    collect(assembly, &capture);
    tracee_use(&capture);
    take(context, end);
    tracee_use(NULL);
    pieces->taken++;
  }
  forget(assembly);
}

static void take_piece(struct ebpf *ebpf, const struct ebpf_capture *piece, size_t size, ebpf_take *take, void *context) {
  if (size < HEADER || piece->processor >= ebpf->processors) return;
  struct assembly *assembly = &ebpf->reader->assemblies[piece->processor];
  if (piece->number != ++assembly->number) assembly->broken = true;
  assembly->number = piece->number;
  if (piece->piece == EBPF_PIECE_END) {
    take_end(ebpf->reader, assembly, piece, take, context);
    return;
  }
  struct ebpf_capture *kept = assembly->count < KEPT ? malloc(size) : NULL;
  if (kept) memcpy(kept, piece, size);
  if (kept) assembly->pieces[assembly->count++] = kept;
  else assembly->broken = true;
}

/* The ring is as Documentation/bpf/ringbuf.rst says: each record has a header of eight bytes, whose first word is its length and
   two flags. */
bool ebpf_pieces_read(struct ebpf *ebpf, ebpf_take *take, void *context) {
  struct ebpf_pieces *pieces = ebpf->reader;
  unsigned long at = *pieces->consumer, begin = at;
  unsigned long end = __atomic_load_n(pieces->producer, __ATOMIC_ACQUIRE);
  while (at < end) {
    const unsigned char *record = pieces->data + (at & (EBPF_RING - 1));
    uint32_t length = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);
    if (length & BPF_RINGBUF_BUSY_BIT) break;
    uint32_t size = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    if (!(length & BPF_RINGBUF_DISCARD_BIT))
      take_piece(ebpf, (const struct ebpf_capture *)(record + BPF_RINGBUF_HDR_SZ), size, take, context);
    at += (size + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
    __atomic_store_n(pieces->consumer, at, __ATOMIC_RELEASE);
  }
  return at != begin;
}

uint64_t ebpf_pieces_lost(const struct ebpf *ebpf) {
  uint64_t captured = ebpf->all_state->captures;
  return captured > ebpf->reader->taken ? captured - ebpf->reader->taken : 0;
}

void ebpf_pieces_forget(struct ebpf *ebpf) { ebpf->reader->taken = 0; }
