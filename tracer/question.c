#include "question.h"

#include "annotations.h"
#include "json.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* More than any runtime or manager writes: whoever has more waits for the hook in TypeScript. */
enum { KEY_SIZE = 256, KEYS_MAX = 128 };

struct annotation {
  const char *key, *value;
};

struct reader {
  struct json json;
  struct question *question;
  char *arena; /* decoded text: never longer than what it was decoded from */
  size_t used;
  const char *keys[KEYS_MAX]; /* of the object that is read: a duplicate is an error */
  size_t key_count;
  struct annotation annotations[KEYS_MAX];
  size_t annotation_count;
  char status[16];
  bool has_id, has_status, has_bundle, sure;
};

static bool doubt(struct reader *reader) {
  reader->sure = false;
  return false;
}

/* The next string, in the arena. NULL: there is none, or it holds what no C string can. */
static const char *take(struct reader *reader) {
  struct json_string string = {.bytes = reader->arena + reader->used, .size = reader->json.length + 2 - reader->used};
  if (json_kind(&reader->json) != '"' || !json_take_string(&reader->json, &string) || !string.whole) return NULL;
  reader->used += strlen(string.bytes) + 1;
  return string.bytes;
}

/* A key that is plain ASCII, which sorts alike everywhere, and new in its object. */
static const char *take_key(struct reader *reader, size_t first) {
  char bytes[KEY_SIZE];
  struct json_string key = {.bytes = bytes, .size = sizeof bytes};
  if (!json_key(&reader->json, &key)) return NULL;
  if (!key.whole || reader->key_count == KEYS_MAX) {
    doubt(reader);
    return NULL;
  }
  for (const char *p = bytes; *p; p++) {
    if (*p & 0x80) reader->sure = false;
  }
  for (size_t i = first; i < reader->key_count; i++) {
    if (strcmp(reader->keys[i], bytes) == 0) reader->sure = false;
  }
  size_t size = strlen(bytes) + 1;
  if (!reader->sure) return NULL;
  char *kept = memcpy(reader->arena + reader->used, bytes, size);
  reader->used += size;
  return reader->keys[reader->key_count++] = kept;
}

static bool decides(const char *key) {
  if (strncmp(key, ANNOTATION_PREFIX, strlen(ANNOTATION_PREFIX)) == 0) return true;
  for (size_t i = 0; i < sizeof annotation_keys / sizeof *annotation_keys; i++) {
    if (strcmp(key, annotation_keys[i]) == 0) return true;
  }
  return false;
}

static bool read_annotations(struct reader *reader) {
  size_t first = reader->key_count;
  const char *key;
  if (json_kind(&reader->json) != '{' || !json_object(&reader->json)) return doubt(reader);
  while ((key = take_key(reader, first))) {
    /* Of those that decide nothing only the form counts, which TypeScript judges alike: a NUL in them is as good as any. */
    if (!decides(key)) {
      if (json_kind(&reader->json) != '"' || !json_skip(&reader->json)) return doubt(reader);
      continue;
    }
    const char *value = take(reader);
    if (!value) return doubt(reader);
    reader->annotations[reader->annotation_count++] = (struct annotation){key, value};
  }
  reader->key_count = first;
  return reader->sure;
}

static bool read_member(struct reader *reader, const char *key) {
  const char *text;
  if (strcmp(key, "annotations") == 0) return read_annotations(reader);
  if (strcmp(key, "pid") == 0) {
    /* 2^53 - 1: what is larger is no number to TypeScript. */
    return (json_take_integer(&reader->json, &reader->question->pid) && reader->question->pid >= 0 &&
            reader->question->pid <= 9007199254740991) || doubt(reader);
  }
  if (strcmp(key, "id") != 0 && strcmp(key, "status") != 0 && strcmp(key, "bundle") != 0) {
    int64_t number;
    switch (json_kind(&reader->json)) {
      case '"':
        return json_skip(&reader->json) || doubt(reader);
      case '0':
        return json_take_integer(&reader->json, &number) || doubt(reader);
      default: /* crun and others add texts only */
        return doubt(reader);
    }
  }
  if (!(text = take(reader))) return doubt(reader);
  if (strcmp(key, "id") == 0) {
    reader->has_id = text[0] && strlen(text) < sizeof reader->question->id;
    return reader->has_id ? strcpy(reader->question->id, text) != NULL : doubt(reader);
  }
  if (strcmp(key, "status") == 0) {
    reader->has_status = strlen(text) < sizeof reader->status;
    return reader->has_status ? strcpy(reader->status, text) != NULL : doubt(reader);
  }
  return (reader->has_bundle = text[0] == '/') || doubt(reader);
}

static bool read_state(struct reader *reader) {
  const char *key;
  if (!json_object(&reader->json)) return false;
  while ((key = take_key(reader, 0))) {
    if (!read_member(reader, key)) return false;
  }
  return reader->sure && json_end(&reader->json) && reader->has_id && reader->has_status && reader->has_bundle;
}

static bool is_status(const char *status) {
  static const char *const names[] = {"creating", "created", "running", "stopped"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(status, names[i]) == 0) return true;
  }
  return false;
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const struct annotation *)a)->key, ((const struct annotation *)b)->key);
}

/* The status, then each annotation behind the lengths of its key and value in bytes: no two questions have one text. */
static bool write_question(struct reader *reader) {
  struct question *question = reader->question;
  struct text text = TEXT_ON(question->text);
  qsort(reader->annotations, reader->annotation_count, sizeof *reader->annotations, by_key);
  text_format(&text, "%s\n", reader->status);
  for (size_t i = 0; i < reader->annotation_count; i++) {
    const struct annotation *annotation = &reader->annotations[i];
    text_format(&text, "%zu %zu ", strlen(annotation->key), strlen(annotation->value));
    text_bytes(&text, annotation->key, strlen(annotation->key));
    text_bytes(&text, "=", 1);
    text_bytes(&text, annotation->value, strlen(annotation->value));
    text_bytes(&text, "\n", 1);
  }
  question->length = text.length;
  return !text.truncated;
}

bool question_parse(const char *text, size_t length, struct question *question) {
  struct reader reader = {.json = {.text = text, .length = length}, .question = question, .sure = true};
  question->pid = -1;
  /* What is no UTF-8 becomes U+FFFD in TypeScript. */
  if (!text_is_utf8(text, length)) return false;
  /* A string's quotes leave room for its end. */
  if (!(reader.arena = malloc(length + 2))) return false;
  bool known = read_state(&reader) && is_status(reader.status) && write_question(&reader);
  question->waiting = strcmp(reader.status, "creating") == 0 || strcmp(reader.status, "created") == 0;
  free(reader.arena);
  return known;
}
