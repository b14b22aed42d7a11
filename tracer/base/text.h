/* A text buffer of fixed size for one line of JSON. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct text {
  char *data;
  size_t size;
  size_t length;
  bool truncated; /* something did not fit; data still ends before size */
};

#define TEXT_ON(array) {.data = (array), .size = sizeof(array), .length = 0, .truncated = false}

void text_bytes(struct text *text, const char *bytes, size_t length);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Append a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD. */
void text_json_string(struct text *text, const char *string);

/* Is all of it UTF-8 (RFC 3629)? It may hold NULs. */
bool text_is_utf8(const char *bytes, size_t length);

/* Append a time as "2026-11-21T03:44:35.123Z", quotes included. */
void text_json_time(struct text *text, const struct timespec *time);
void text_json_now(struct text *text);

#endif
