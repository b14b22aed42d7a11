/* Facts about paths: what a run did to files, which endpoints it used, which programs it executed. Each distinct one is a line. */
#ifndef FACTS_H
#define FACTS_H

#include "learn/stream.h"
#include "learn/tree.h"

/* Bits of a file's facts, those of calls that failed FACTS_FAILED higher. README.md says what each means. */
enum {
  FACTS_READ = 1 << 0,
  FACTS_WRITE = 1 << 1,
  FACTS_CREATE = 1 << 2,
  FACTS_CHANGE = 1 << 3,
  FACTS_REMOVE = 1 << 4,
  FACTS_EXECUTE = 1 << 5,
  FACTS_LOCATE = 1 << 6,
  FACTS_ALL = (1 << 7) - 1,
  FACTS_FAILED = 8, /* a shift */
};

/* How a call on a socket ended. */
enum facts_outcome { FACTS_OK = 1, FACTS_NOT_OK = 2, FACTS_UNDER_WAY = 4 };
enum facts_kind { FACTS_BIND, FACTS_CONNECT, FACTS_SEND };

struct facts {
  struct stream *stream;
  struct tree files, endpoints, programs;
  uint64_t left;       /* facts that are not in the record */
  uint64_t unreadable; /* calls that succeeded, and whose path or address could not be read */
  uint64_t longer;     /* paths that are too long */
  uint64_t folded;     /* facts whose .. were taken by text */
  size_t written;      /* bytes of lines */
};

/* False: no memory. */
bool facts_init(struct facts *facts, struct stream *stream);

/* `path` is in the form of tracee_name(), "" for the root. */
void facts_file(struct facts *facts, const char *path, uint32_t access, bool ok);
void facts_program(struct facts *facts, const char *path);

/* `path` of a UNIX socket, otherwise NULL; with it the family is ignored. */
void facts_unix(struct facts *facts, enum facts_kind kind, const char *path, enum facts_outcome outcome);
void facts_abstract(struct facts *facts, enum facts_kind kind, const char *name, size_t length, enum facts_outcome outcome);
void facts_inet(struct facts *facts, enum facts_kind kind, bool six, const void *address, uint16_t port, enum facts_outcome outcome);
void facts_family(struct facts *facts, enum facts_kind kind, unsigned family, enum facts_outcome outcome);

/* What is missing: one line at the end. */
void facts_finish(struct facts *facts);

#endif
