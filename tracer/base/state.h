/* The container's state, as a runtime hands it to a hook on standard input (runtime-spec, runtime.md#state). */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
  STATE_SIZE_MAX = 1 << 20,
  STATE_ID_SIZE = 1025,
  PID_MOST = 4194304 /* PID_MAX_LIMIT on 64-bit machines, include/linux/threads.h */
};

struct state {
  pid_t pid; /* the container's init; above 1 */
  char id[STATE_ID_SIZE];
};

/* Decode a state of a container whose program has not started yet. Keys that the specification does not know are let pass,
   here and in annotations, which are not looked into. NULL, or what is wrong (static). */
const char *state_parse(const char *text, size_t length, struct state *state);

/* The same, from standard input. On failure a message has been printed. */
bool state_read(struct state *state);

#endif
