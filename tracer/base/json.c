#include "base/json.h"

#include <string.h>

static bool fail(struct json *json, const char *problem) {
  if (!json->problem) json->problem = problem;
  return false;
}

/* The next byte, or -1 at the end. */
static int peek(const struct json *json) {
  return json->at < json->length ? (unsigned char)json->text[json->at] : -1;
}

static void space(struct json *json) {
  int c;
  while ((c = peek(json)) == ' ' || c == '\t' || c == '\n' || c == '\r') json->at++;
}

static bool expect(struct json *json, char wanted, const char *problem) {
  if (json->problem) return false;
  if (peek(json) != (unsigned char)wanted) return fail(json, problem);
  json->at++;
  return true;
}

char json_kind(struct json *json) {
  if (json->problem) return 0;
  space(json);
  int c = peek(json);
  if (c == '-' || (c >= '0' && c <= '9')) return '0';
  if (c > 0 && strchr("{[\"tfn", c)) return (char)c;
  fail(json, "expected a value");
  return 0;
}

/* Strings */

static void put(struct json_string *string, size_t *used, unsigned char byte) {
  if (string->size == 0 || *used + 1 >= string->size) {
    string->whole = false;
    return;
  }
  string->bytes[(*used)++] = (char)byte;
}

static void put_character(struct json_string *string, size_t *used, uint32_t c) {
  if (c == 0 || (c >= 0xd800 && c <= 0xdfff)) {
    string->whole = false;
  } else if (c < 0x80) {
    put(string, used, (unsigned char)c);
  } else if (c < 0x800) {
    put(string, used, (unsigned char)(0xc0 | c >> 6));
    put(string, used, (unsigned char)(0x80 | (c & 0x3f)));
  } else if (c < 0x10000) {
    put(string, used, (unsigned char)(0xe0 | c >> 12));
    put(string, used, (unsigned char)(0x80 | (c >> 6 & 0x3f)));
    put(string, used, (unsigned char)(0x80 | (c & 0x3f)));
  } else {
    put(string, used, (unsigned char)(0xf0 | c >> 18));
    put(string, used, (unsigned char)(0x80 | (c >> 12 & 0x3f)));
    put(string, used, (unsigned char)(0x80 | (c >> 6 & 0x3f)));
    put(string, used, (unsigned char)(0x80 | (c & 0x3f)));
  }
}

static int hex_digit(int c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool four_digits(struct json *json, uint32_t *value) {
  *value = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(peek(json));
    if (digit < 0) return fail(json, "expected four hexadecimal digits");
    *value = *value << 4 | (uint32_t)digit;
    json->at++;
  }
  return true;
}

/* After "\u". A high surrogate takes the low one that follows it; without that it stays half a pair. */
static bool unicode_escape(struct json *json, uint32_t *c) {
  if (!four_digits(json, c)) return false;
  if (*c < 0xd800 || *c > 0xdbff || json->length - json->at < 6 || memcmp(json->text + json->at, "\\u", 2) != 0) return true;
  size_t start = json->at;
  uint32_t low;
  json->at += 2;
  if (!four_digits(json, &low)) return false;
  if (low >= 0xdc00 && low <= 0xdfff) *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
  else json->at = start; /* an escape of its own */
  return true;
}

static bool escape(struct json *json, struct json_string *string, size_t *used) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  uint32_t value;
  int c = peek(json);
  const char *name = c > 0 ? strchr(names, c) : NULL;
  if (name) {
    json->at++;
    put(string, used, (unsigned char)values[name - names]);
    return true;
  }
  if (c != 'u') return fail(json, "an invalid escape");
  json->at++;
  if (!unicode_escape(json, &value)) return false;
  put_character(string, used, value);
  return true;
}

bool json_take_string(struct json *json, struct json_string *string) {
  size_t used = 0;
  string->whole = true;
  space(json);
  if (!expect(json, '"', "expected a string in double quotes")) return false;
  for (;;) {
    int c = peek(json);
    if (c < 0) return fail(json, "a string without an end");
    if (c < 0x20) return fail(json, "a control character in a string");
    json->at++;
    if (c == '"') break;
    if (c != '\\') put(string, &used, (unsigned char)c);
    else if (!escape(json, string, &used)) return false;
  }
  if (string->size > 0) string->bytes[used] = 0;
  return true;
}

/* Numbers */

static size_t digits(struct json *json) {
  size_t start = json->at;
  int c;
  while ((c = peek(json)) >= '0' && c <= '9') json->at++;
  return json->at - start;
}

static bool number(struct json *json, bool *integer) {
  *integer = true;
  if (peek(json) == '-') json->at++;
  size_t start = json->at, length = digits(json);
  if (length == 0) return fail(json, "expected a digit");
  if (length > 1 && json->text[start] == '0') return fail(json, "a number that begins with 0");
  if (peek(json) == '.') {
    *integer = false;
    json->at++;
    if (digits(json) == 0) return fail(json, "expected a digit");
  }
  if (peek(json) == 'e' || peek(json) == 'E') {
    *integer = false;
    json->at++;
    if (peek(json) == '+' || peek(json) == '-') json->at++;
    if (digits(json) == 0) return fail(json, "expected a digit");
  }
  return true;
}

bool json_take_integer(struct json *json, int64_t *value) {
  bool integer;
  if (json_kind(json) != '0') return fail(json, "expected a number");
  size_t start = json->at;
  if (!number(json, &integer)) return false;
  bool negative = json->text[start] == '-';
  *value = 0;
  for (size_t i = start + negative; integer && i < json->at; i++) {
    integer = !__builtin_mul_overflow(*value, 10, value) && !__builtin_sub_overflow(*value, json->text[i] - '0', value);
  }
  if (!negative && integer) integer = !__builtin_sub_overflow((int64_t)0, *value, value);
  if (integer) return true;
  json->at = start;
  return fail(json, "expected a whole number of at most 64 bits");
}

/* Objects, arrays, anything */

static bool enter(struct json *json, char bracket, const char *problem) {
  space(json);
  if (!expect(json, bracket, problem)) return false;
  json->fresh = true;
  return ++json->depth <= JSON_DEPTH || fail(json, "nested too deep");
}

/* Is there another member? The one before it, if any, has been taken in full. Of `fresh` one is enough for all depths: the
   first question after entering clears it, before anything deeper can be entered. */
static bool another(struct json *json, char end, const char *problem) {
  if (json->problem) return false;
  bool first = json->fresh;
  json->fresh = false;
  space(json);
  if (peek(json) == end) {
    json->at++;
    json->depth--;
    return false;
  }
  return first || expect(json, ',', problem);
}

bool json_object(struct json *json) { return enter(json, '{', "expected an object"); }

bool json_key(struct json *json, struct json_string *key) {
  if (!another(json, '}', "expected a comma or }")) return false;
  if (!json_take_string(json, key)) return false;
  space(json);
  return expect(json, ':', "expected a colon");
}

bool json_array(struct json *json) { return enter(json, '[', "expected an array"); }

bool json_item(struct json *json) { return another(json, ']', "expected a comma or ]"); }

static bool word(struct json *json, const char *wanted) {
  size_t length = strlen(wanted);
  if (json->length - json->at < length || memcmp(json->text + json->at, wanted, length) != 0)
    return fail(json, "expected a value");
  json->at += length;
  return true;
}

bool json_skip(struct json *json) {
  struct json_string none = {0};
  bool integer;
  switch (json_kind(json)) {
    case '{':
      json_object(json);
      while (json_key(json, &none) && json_skip(json)) {
      }
      return !json->problem;
    case '[':
      json_array(json);
      while (json_item(json) && json_skip(json)) {
      }
      return !json->problem;
    case '"':
      return json_take_string(json, &none);
    case '0':
      return number(json, &integer);
    case 't':
      return word(json, "true");
    case 'f':
      return word(json, "false");
    case 'n':
      return word(json, "null");
    default:
      return false;
  }
}

bool json_end(struct json *json) {
  if (json->problem) return false;
  space(json);
  return json->at == json->length || fail(json, "expected the end of the text");
}
