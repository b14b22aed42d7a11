/* A strict scanner for one JSON text (RFC 8259) that others may have written. It allocates nothing and looks at each byte
   once. Where something is wrong, each function returns false, and `problem` and `at` say what and where; once a problem is
   set nothing goes on. Bytes above 0x7f within strings are taken as they are, UTF-8 or not. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH = 100 /* nested objects and arrays; as many as the hooks in TypeScript take */ };

struct json {
  const char *text; /* need not end with a NUL */
  size_t length;
  size_t at;
  int depth;
  bool fresh; /* just entered an object or array */
  const char *problem; /* NULL: none */
};

/* A decoded string. Of one that is too long for the buffer, or holds a NUL or half a surrogate pair, only the extent is
   checked, and `whole` is false. */
struct json_string {
  char *bytes; /* the caller's, ends with a NUL */
  size_t size;
  bool whole;
};

/* The kind of the next value by its first character: one of { [ " 0 (a number) t f n, or 0 with a problem. */
char json_kind(struct json *json);

/* Enter an object, then take key after key; each must be followed by taking or skipping its value. False without a
   problem: that was the last one. */
bool json_object(struct json *json);
bool json_key(struct json *json, struct json_string *key);

/* The same for an array: after json_item() an item must be taken or skipped. */
bool json_array(struct json *json);
bool json_item(struct json *json);

bool json_take_string(struct json *json, struct json_string *string);

/* An integer without fraction and exponent that fits. */
bool json_take_integer(struct json *json, int64_t *value);

/* Any value, checked in full. */
bool json_skip(struct json *json);

/* Nothing but white space must be left. */
bool json_end(struct json *json);

#endif
