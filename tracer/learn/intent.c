#include "learn/intent.h"

#include "learn/addresses.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000 /* <linux/fcntl.h> */
#endif

/* A file that was not opened through a path has no name: a pipe, a socket, memory. */
static bool is_file(const char *link) { return *link == '/' && strncmp(link, "/memfd:", 7) != 0; }

static struct intent_fact *add_fact(struct intent *intent, char letter, size_t length) {
  if (intent->facts == INTENT_FACTS || intent->used + length > INTENT_DATA) return NULL;
  struct intent_fact *fact = &intent->fact[intent->facts++];
  *fact = (struct intent_fact){.letter = letter, .at = (uint32_t)intent->used, .length = (uint32_t)length};
  intent->used += length;
  return fact;
}

static struct intent_fact *add_problem(struct intent *intent, enum tracee_string problem) {
  struct intent_fact *fact = add_fact(intent, 'f', 0);
  if (fact) fact->problem = problem;
  return fact;
}

static struct intent_fact *add_name(struct intent *intent, const struct tracee_name *name) {
  struct intent_fact *fact = add_fact(intent, 'f', name->length + 1);
  if (!fact) return NULL;
  memcpy(intent->data + fact->at, name->text, name->length + 1);
  fact->folded = name->folded;
  return fact;
}

/* What a path, if any, behind a directory's descriptor leads to; `null_allowed`: futimens() has none. NULL: it is no file, or a path
   that names nothing. */
static struct intent_fact *read_name(struct intent *intent, pid_t tid, int32_t directory, uint64_t address, bool empty_allowed,
                                     bool null_allowed) {
  static char path[TRACEE_PATH_MAX], base[TRACEE_PATH_MAX];
  static struct tracee_name name;
  char link[32] = "cwd";
  *path = 0;
  if (address) {
    enum tracee_string result = tracee_path(tid, address, path);
    if (result != TRACEE_OK) return add_problem(intent, result);
  }
  if (!*path && !empty_allowed && (address || !null_allowed)) return NULL; /* ENOENT, EFAULT */
  if (*path == '/') snprintf(link, sizeof link, "root");
  else if (directory != AT_FDCWD) snprintf(link, sizeof link, "fd/%d", directory);
  if (!tracee_link(tid, link, base)) return add_problem(intent, TRACEE_UNREADABLE);
  if (!is_file(base)) return NULL;
  if (!tracee_name(&name, base, path)) return add_problem(intent, TRACEE_LONG);
  return add_name(intent, &name);
}

static uint32_t access_of_open(uint64_t flags) {
  uint32_t access = 0;
  if (flags & O_PATH) return FACTS_LOCATE;
  if ((flags & O_TMPFILE) == O_TMPFILE) return FACTS_CHANGE;
  int mode = (int)(flags & O_ACCMODE);
  if (mode == O_RDONLY || mode == O_RDWR) access |= FACTS_READ;
  if (mode == O_WRONLY || mode == O_RDWR || (flags & O_TRUNC)) access |= FACTS_WRITE;
  if (flags & O_CREAT) access |= FACTS_CREATE;
  return access ? access : FACTS_LOCATE; /* 3: neither reading nor writing, for ioctl(2) only */
}

static uint32_t access_of(char letter) {
  switch (letter) {
    case 't':
      return FACTS_CREATE | FACTS_WRITE;
    case 'w':
      return FACTS_WRITE;
    case 'c':
      return FACTS_CREATE;
    case 'h':
      return FACTS_CHANGE;
    case 'd':
      return FACTS_REMOVE;
    case 'x':
      return FACTS_EXECUTE;
    default:
      return FACTS_LOCATE;
  }
}

struct place {
  const struct paths_operand *operand;
  const unsigned long long *values;
};

/* The argument at the operand's n-th place, or what stands for none. */
static uint64_t argument(struct place place, int n, uint64_t none) {
  int index = place.operand->places[n];
  return index < 0 ? none : place.values[index];
}

static void read_file(struct intent *intent, pid_t tid, struct place place) {
  char letter = place.operand->letter;
  bool opens = letter == 'o' || letter == 'O' || letter == 't';
  uint64_t flags = argument(place, 2, 0);
  struct intent_fact *fact;
  if (letter == 'O' && tracee_read(tid, argument(place, 2, 0), &flags, sizeof flags) != sizeof flags) return; /* EFAULT */
  if (opens && place.operand->places[1] < 0) fact = add_fact(intent, 'f', 0); /* by a handle: it has no path */
  else
    fact = read_name(intent, tid, (int32_t)argument(place, 0, (uint64_t)AT_FDCWD), argument(place, 1, 0),
                     place.operand->places[1] < 0 || (!opens && (flags & AT_EMPTY_PATH)), letter == 'h');
  if (!fact) return;
  fact->opened = opens;
  fact->access = letter == 'o' || letter == 'O' ? access_of_open(flags) : access_of(letter);
}

static void read_address(struct intent *intent, pid_t tid, char letter, uint64_t address, uint64_t length) {
  unsigned char bytes[ADDRESSES_SIZE];
  if (length > sizeof bytes) length = sizeof bytes; /* EINVAL, as an address is never longer */
  size_t got = tracee_read(tid, address, bytes, length);
  struct intent_fact *fact = add_fact(intent, letter, got);
  if (!fact) return;
  memcpy(intent->data + fact->at, bytes, got);
  if (got < length) fact->problem = TRACEE_UNREADABLE;
}

static void read_message(struct intent *intent, pid_t tid, uint64_t header) {
  uint64_t address;
  uint32_t length;
  if (!addresses_of_header(tid, header, intent->compat, &address, &length)) return; /* EFAULT */
  if (address && length) read_address(intent, tid, 's', address, length);
}

static void read_messages(struct intent *intent, uint64_t vector, uint64_t messages) {
  struct intent_fact *fact = add_fact(intent, 'M', 0);
  if (fact) fact->vector = vector, fact->messages = messages;
}

/* The numbers are those of SYS_* in <linux/net.h>; the arguments are unsigned longs of a 32-bit ABI. */
static void read_socketcall(struct intent *intent, pid_t tid, uint64_t call, uint64_t arguments) {
  uint32_t values[6] = {0};
  tracee_read(tid, arguments, values, sizeof values);
  switch (call) {
    case 2:
      read_address(intent, tid, 'b', values[1], values[2]);
      return;
    case 3:
      read_address(intent, tid, 'k', values[1], values[2]);
      return;
    case 11:
      if (values[4]) read_address(intent, tid, 's', values[4], values[5]);
      return;
    case 16:
      read_message(intent, tid, values[1]);
      return;
    case 20:
      read_messages(intent, values[1], values[2]);
  }
}

void intent_read(struct intent *intent, pid_t tid, const struct paths_operand *operand, const unsigned long long values[6]) {
  struct place place = {operand, values};
  switch (operand->letter) {
    case 'b':
    case 'k':
    case 's':
      read_address(intent, tid, operand->letter, argument(place, 1, 0), (uint32_t)argument(place, 2, 0));
      return;
    case 'm':
      read_message(intent, tid, argument(place, 1, 0));
      return;
    case 'M':
      read_messages(intent, argument(place, 1, 0), (uint32_t)argument(place, 2, 0));
      return;
    case 'q':
      read_socketcall(intent, tid, argument(place, 0, 0), argument(place, 1, 0));
      return;
    default:
      read_file(intent, tid, place);
  }
}

struct intent *intent_keep(const struct intent *intent) {
  size_t size = offsetof(struct intent, data) + intent->used;
  struct intent *kept = malloc(size);
  if (kept) memcpy(kept, intent, size);
  return kept;
}

/* A path that the kernel could not read either is one that names no file. */
static void note_problem(enum tracee_string problem, bool failed, struct facts *facts) {
  if (failed) return;
  if (problem == TRACEE_LONG) facts->longer++;
  else facts->unreadable++;
}

static void record_file(const struct intent *intent, const struct intent_fact *fact, pid_t tid, int64_t result, bool failed,
                        struct facts *facts) {
  static char link[TRACEE_PATH_MAX];
  static struct tracee_name name;
  const char *path = fact->length ? intent->data + fact->at : NULL;
  bool folded = fact->folded;
  if (fact->opened && !failed && (folded || !path)) { /* the kernel's own word */
    char descriptor[32];
    snprintf(descriptor, sizeof descriptor, "fd/%d", (int)result);
    if (tracee_link(tid, descriptor, link) && is_file(link) && tracee_name(&name, link, "")) {
      path = name.text;
      folded = false;
    }
  }
  if (!path) {
    if (fact->problem != TRACEE_OK) note_problem(fact->problem, failed, facts);
    return;
  }
  facts->folded += folded;
  facts_file(facts, path, fact->access, !failed);
}

/* Results of calls that the kernel begins again, or that fail with EINTR in the end (include/linux/errno.h). */
static bool is_interrupted(int64_t result) { return result <= -512 && result >= -516; }

static enum facts_outcome outcome_of(char letter, int64_t result, bool failed) {
  if (!failed) return FACTS_OK;
  /* A connect that was interrupted goes on by itself (connect(2)). */
  bool under_way = letter == 'k' && (result == -EINPROGRESS || result == -EINTR || is_interrupted(result));
  return under_way ? FACTS_UNDER_WAY : FACTS_NOT_OK;
}

static void record_address(const struct intent *intent, const struct intent_fact *fact, pid_t tid, int64_t result,
                           bool failed, struct facts *facts) {
  enum facts_kind kind = fact->letter == 'b' ? FACTS_BIND : fact->letter == 'k' ? FACTS_CONNECT : FACTS_SEND;
  enum facts_outcome outcome = outcome_of(fact->letter, result, failed);
  if (is_interrupted(result) && outcome == FACTS_NOT_OK) return;
  if (fact->letter == 'M') addresses_of_messages(tid, fact->vector, fact->messages, intent->compat, result, failed, facts);
  else if (fact->problem != TRACEE_OK) note_problem(fact->problem, failed, facts);
  else addresses_record(facts, tid, kind, intent->data + fact->at, fact->length, outcome);
}

void intent_record(const struct intent *intent, pid_t tid, int64_t result, bool failed, struct facts *facts) {
  for (unsigned i = 0; i < intent->facts; i++) {
    const struct intent_fact *fact = &intent->fact[i];
    if (fact->letter != 'f') record_address(intent, fact, tid, result, failed, facts);
    else if (!is_interrupted(result)) record_file(intent, fact, tid, result, failed, facts);
  }
}
