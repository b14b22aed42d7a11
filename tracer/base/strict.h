/* Reading JSON that decides something, for which TypeScript would have been asked: only what both read alike. Everything else is a
   doubt, which is for TypeScript to settle; once there is one, nothing goes on. */
#ifndef STRICT_H
#define STRICT_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

enum { STRICT_KEYS_MAX = 256 /* in the objects that are open; more than any runtime or manager writes */ };

struct strict {
  struct json json;
  bool sure; /* no doubt so far */
  char *arena; /* decoded text: never longer than what it was decoded from */
  size_t used;
  const char *keys[STRICT_KEYS_MAX]; /* of the objects that are open */
  size_t key_count;
};

/* An object or an array that is being read. */
struct strict_object {
  size_t first; /* of its keys */
  bool empty;
  size_t end; /* behind the last member: where its closing bracket is */
};

/* False: no memory, or the text is no UTF-8, of which TypeScript would make U+FFFD. What is read stays until the end of the process. */
bool strict_start(struct strict *strict, const char *text, size_t length);

/* Returns false. */
bool strict_doubt(struct strict *strict);

/* Enter an object, then take key after key, each followed by its value. A key is plain ASCII, which sorts alike everywhere, and new in its object. NULL:
   that was the last one, or there is a doubt. */
bool strict_enter(struct strict *strict, struct strict_object *object);
const char *strict_key(struct strict *strict, struct strict_object *object);

/* The same for an array; false: there is no other item. */
bool strict_enter_array(struct strict *strict, struct strict_object *array);
bool strict_item(struct strict *strict, struct strict_object *array);

/* A string. NULL: it is none, or holds what no C string can. */
const char *strict_text(struct strict *strict);

/* A value whose form alone counts. */
bool strict_skip(struct strict *strict);

/* Nothing is left, and there was no doubt. */
bool strict_end(struct strict *strict);

#endif
