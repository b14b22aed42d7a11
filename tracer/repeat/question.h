/* What the program is asked about a container: the part of what is known of it that a decision depends on (src/oci/question.ts). */
#ifndef QUESTION_H
#define QUESTION_H

#include "base/state.h"
#include "base/strict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  QUESTION_SIZE_MAX = 16384,
  ANNOTATIONS_MAX = 128 /* that decide; more than any runtime or manager writes */
};

/* Annotations that decide; their text is the caller's. */
struct annotations {
  struct {
    const char *key, *value;
  } items[ANNOTATIONS_MAX];
  size_t count;
  bool crun_program; /* there was one with a filter for crun, which it would load in place of all others */
};

struct question {
  char text[QUESTION_SIZE_MAX];
  size_t length; /* of text, which does not end with a NUL */
};

/* What a state says besides. */
struct occasion {
  char id[STATE_ID_SIZE];
  int64_t pid;  /* -1: there is none */
  bool waiting; /* the status is one in which the container's program has not started */
};

/* Read an object of annotations: of the others only the form counts. `object' may be asked for its end. */
bool annotations_read(struct strict *strict, struct strict_object *object, struct annotations *annotations);

/* The value of a key, or NULL. */
const char *annotations_find(const struct annotations *annotations, const char *key);

/* False: there is no room. */
bool annotations_add(struct annotations *annotations, const char *key, const char *value);

/* Write the question about a subject (a status, or who asks); sorts the annotations. False: it is too long. */
bool question_write(struct question *question, const char *subject, struct annotations *annotations);

/* Read a state. False: it is not certain that the hook in TypeScript would read the same in it, or take it at all; then
   that must see it. `question` and `occasion' hold nothing of use in that case. */
bool question_parse(const char *text, size_t length, struct question *question, struct occasion *occasion);

#endif
