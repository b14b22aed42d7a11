#include "repeat/question.h"

#include "base/text.h"
#include "repeat/annotations.h"

#include <stdlib.h>
#include <string.h>

static bool decides(const char *key) {
  if (strncmp(key, ANNOTATION_PREFIX, strlen(ANNOTATION_PREFIX)) == 0) return true;
  for (const char *const *deciding = annotation_keys; *deciding; deciding++) {
    if (strcmp(key, *deciding) == 0) return true;
  }
  return false;
}

const char *annotations_find(const struct annotations *annotations, const char *key) {
  for (size_t i = 0; i < annotations->count; i++) {
    if (strcmp(annotations->items[i].key, key) == 0) return annotations->items[i].value;
  }
  return NULL;
}

bool annotations_add(struct annotations *annotations, const char *key, const char *value) {
  if (annotations->count == ANNOTATIONS_MAX) return false;
  annotations->items[annotations->count].key = key;
  annotations->items[annotations->count++].value = value;
  return true;
}

bool annotations_read(struct strict *strict, struct strict_object *object, struct annotations *annotations) {
  const char *key;
  if (!strict_enter(strict, object)) return false;
  while ((key = strict_key(strict, object))) {
    /* Of those that decide nothing only the form counts, which TypeScript judges alike: a NUL in them is as good as any. */
    if (!decides(key)) {
      if (strcmp(key, CRUN_PROGRAM) == 0) annotations->crun_program = true;
      if (json_kind(&strict->json) != '"' || !strict_skip(strict)) return strict_doubt(strict);
      continue;
    }
    const char *value = strict_text(strict);
    if (!value || !annotations_add(annotations, key, value)) return strict_doubt(strict);
  }
  return strict->sure;
}

static int by_key(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The subject, then each annotation behind the lengths of its key and value in bytes: no two questions have one text. */
bool question_write(struct question *question, const char *subject, struct annotations *annotations) {
  struct text text = TEXT_ON(question->text);
  qsort(annotations->items, annotations->count, sizeof *annotations->items, by_key); /* the key is an item's first member */
  text_format(&text, "%s\n", subject);
  for (size_t i = 0; i < annotations->count; i++) {
    const char *key = annotations->items[i].key, *value = annotations->items[i].value;
    text_format(&text, "%zu %zu ", strlen(key), strlen(value));
    text_bytes(&text, key, strlen(key));
    text_bytes(&text, "=", 1);
    text_bytes(&text, value, strlen(value));
    text_bytes(&text, "\n", 1);
  }
  question->length = text.length;
  return !text.truncated;
}

/* What is taken of a state. */
struct reader {
  struct strict strict;
  struct occasion *occasion;
  struct annotations annotations;
  const char *status;
  bool has_id, has_bundle;
};

static bool read_number(struct strict *strict, int64_t *number) {
  return (strict->sure && json_take_integer(&strict->json, number)) || strict_doubt(strict);
}

static bool read_member(struct reader *reader, const char *key) {
  struct strict *strict = &reader->strict;
  struct strict_object object;
  const char *text;
  int64_t number;
  if (strcmp(key, "annotations") == 0) return annotations_read(strict, &object, &reader->annotations);
  if (strcmp(key, "pid") == 0) {
    /* 2^53 - 1: what is larger is no number to TypeScript. */
    if (!read_number(strict, &number) || number < 0 || number > 9007199254740991) return strict_doubt(strict);
    reader->occasion->pid = number;
    return true;
  }
  if (strcmp(key, "id") != 0 && strcmp(key, "status") != 0 && strcmp(key, "bundle") != 0) {
    /* crun and others add texts and numbers only. */
    switch (json_kind(&strict->json)) {
      case '"':
        return strict_skip(strict);
      case '0':
        return read_number(strict, &number);
      default:
        return strict_doubt(strict);
    }
  }
  if (!(text = strict_text(strict))) return false;
  if (strcmp(key, "status") == 0) {
    reader->status = text;
    return true;
  }
  if (strcmp(key, "bundle") == 0) return (reader->has_bundle = text[0] == '/') || strict_doubt(strict);
  reader->has_id = text[0] && strlen(text) < sizeof reader->occasion->id;
  return reader->has_id ? strcpy(reader->occasion->id, text) != NULL : strict_doubt(strict);
}

static bool read_state(struct reader *reader) {
  struct strict_object object;
  const char *key;
  if (!strict_enter(&reader->strict, &object)) return false;
  while ((key = strict_key(&reader->strict, &object))) {
    if (!read_member(reader, key)) return false;
  }
  return strict_end(&reader->strict) && reader->has_id && reader->status && reader->has_bundle;
}

static bool one_of(const char *word, const char *a, const char *b) { return strcmp(word, a) == 0 || strcmp(word, b) == 0; }

bool question_parse(const char *text, size_t length, struct question *question, struct occasion *occasion) {
  struct reader reader = {.occasion = occasion};
  occasion->pid = -1;
  if (!strict_start(&reader.strict, text, length)) return false;
  bool known = read_state(&reader);
  if (known) {
    occasion->waiting = one_of(reader.status, "creating", "created");
    known = (occasion->waiting || one_of(reader.status, "running", "stopped")) &&
            question_write(question, reader.status, &reader.annotations);
  }
  free(reader.strict.arena);
  return known;
}
