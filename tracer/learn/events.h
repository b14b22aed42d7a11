/* Every call as a line of its own (--events), in files that are bounded in size and number. */
#ifndef EVENTS_H
#define EVENTS_H

#include "arch/arch.h"
#include "learn/signatures.h"
#include "learn/stream.h"
#include "ptrace/tasks.h"

enum {
  EVENTS_FILE = 8 << 20, /* bytes of a file before the next one is begun, unless --events-size says something else */
  EVENTS_FILES = 16,     /* that are kept; the oldest goes */
};

struct events {
  bool wanted;
  const char *container; /* its id, or "" */
  const struct signatures *signatures;
  int directory, fd;
  const char *prefix;    /* of the files' names */
  unsigned file;         /* the number of the one that is being written, from 0 */
  off_t size;
  uint64_t most;         /* bytes of a file */
  uint64_t held[EVENTS_FILES]; /* events in the files that are kept, by their number modulo EVENTS_FILES */
  uint64_t written, dropped, failed;
};

/* Begin the first file, BASE.0.ndjson, which must not exist. False: errno says why. */
bool events_open(struct events *events, const char *base);

/* At a call's entry: what is known then waits in task->event for its end. A call that never returns is written at once. */
void events_enter(struct events *events, struct task *task, const struct arch_call *call, const unsigned long long values[6]);

/* At its exit. */
void events_leave(struct events *events, struct task *task, int64_t result);

/* The task executes another program: it has another name. */
void events_executed(struct task *task);

/* The line about them in learn's stream. */
void events_finish(struct events *events, struct stream *stream);

#endif
