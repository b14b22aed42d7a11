/* What the enforce hook is asked: the part of a container's state that its decision depends on (src/oci/question.ts). */
#ifndef QUESTION_H
#define QUESTION_H

#include "state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUESTION_SIZE_MAX = 16384 };

struct question {
  char id[STATE_ID_SIZE];
  int64_t pid;  /* -1: there is none */
  bool waiting; /* the status is one in which the container's program has not started */
  char text[QUESTION_SIZE_MAX];
  size_t length; /* of text, which does not end with a NUL */
};

/* Read a state. False: it is not certain that the hook in TypeScript would read the same in it, or take it at all; then
   that must see it. `question` holds nothing of use in that case. */
bool question_parse(const char *text, size_t length, struct question *question);

#endif
