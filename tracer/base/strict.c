#include "base/strict.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 256 };

bool strict_doubt(struct strict *strict) {
  strict->sure = false;
  return false;
}

bool strict_start(struct strict *strict, const char *text, size_t length) {
  *strict = (struct strict){.json = {.text = text, .length = length}, .sure = true};
  if (!text_is_utf8(text, length)) return false;
  /* A string's quotes leave room for its end. */
  return (strict->arena = malloc(length + 2)) != NULL;
}

bool strict_enter(struct strict *strict, struct strict_object *object) {
  *object = (struct strict_object){.first = strict->key_count, .empty = true};
  return (strict->sure && json_object(&strict->json)) || strict_doubt(strict);
}

const char *strict_key(struct strict *strict, struct strict_object *object) {
  char bytes[KEY_SIZE];
  struct json_string key = {.bytes = bytes, .size = sizeof bytes};
  if (!strict->sure) return NULL;
  if (!json_key(&strict->json, &key)) {
    if (strict->json.problem) strict_doubt(strict);
    object->end = strict->json.at - 1;
    strict->key_count = object->first;
    return NULL;
  }
  object->empty = false;
  if (!key.whole || strict->key_count == STRICT_KEYS_MAX) strict_doubt(strict);
  for (const char *p = bytes; *p; p++) {
    if (*p & 0x80) strict_doubt(strict);
  }
  for (size_t i = object->first; i < strict->key_count; i++) {
    if (strcmp(strict->keys[i], bytes) == 0) strict_doubt(strict);
  }
  if (!strict->sure) return NULL;
  size_t size = strlen(bytes) + 1;
  char *kept = memcpy(strict->arena + strict->used, bytes, size);
  strict->used += size;
  return strict->keys[strict->key_count++] = kept;
}

bool strict_enter_array(struct strict *strict, struct strict_object *array) {
  *array = (struct strict_object){.empty = true};
  return (strict->sure && json_array(&strict->json)) || strict_doubt(strict);
}

bool strict_item(struct strict *strict, struct strict_object *array) {
  if (!strict->sure) return false;
  if (json_item(&strict->json)) {
    array->empty = false;
    return true;
  }
  array->end = strict->json.at - 1;
  if (strict->json.problem) strict_doubt(strict);
  return false;
}

const char *strict_text(struct strict *strict) {
  struct json_string string = {.bytes = strict->arena + strict->used, .size = strict->json.length + 2 - strict->used};
  if (!strict->sure || json_kind(&strict->json) != '"' || !json_take_string(&strict->json, &string) || !string.whole) {
    strict_doubt(strict);
    return NULL;
  }
  strict->used += strlen(string.bytes) + 1;
  return string.bytes;
}

bool strict_skip(struct strict *strict) { return (strict->sure && json_skip(&strict->json)) || strict_doubt(strict); }

bool strict_end(struct strict *strict) { return (strict->sure && json_end(&strict->json)) || strict_doubt(strict); }
