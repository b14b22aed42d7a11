#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void text_bytes(struct text *text, const char *bytes, size_t length) {
  if (length > text->size - text->length) {
    text->truncated = true;
    return;
  }
  memcpy(text->data + text->length, bytes, length);
  text->length += length;
}

void text_format(struct text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t room = text->size - text->length;
  int length = vsnprintf(text->data + text->length, room, format, arguments);
  va_end(arguments);
  if (length < 0 || (size_t)length >= room) {
    text->truncated = true;
    return;
  }
  text->length += (size_t)length;
}

/* The length of the UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF), or 0. */
static size_t utf8_length(const unsigned char *p) {
  if (p[0] < 0x80) return 1;
  size_t length;
  unsigned char low = 0x80, high = 0xbf;
  if (p[0] >= 0xc2 && p[0] <= 0xdf) length = 2;
  else if (p[0] >= 0xe0 && p[0] <= 0xef) length = 3;
  else if (p[0] >= 0xf0 && p[0] <= 0xf4) length = 4;
  else return 0;
  if (p[0] == 0xe0) low = 0xa0;
  if (p[0] == 0xed) high = 0x9f;
  if (p[0] == 0xf0) low = 0x90;
  if (p[0] == 0xf4) high = 0x8f;
  for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf) {
    if (p[i] < low || p[i] > high) return 0; /* also stops at the terminating NUL */
  }
  return length;
}

bool text_is_utf8(const char *bytes, size_t length) {
  unsigned char last[8] = {0}; /* the last sequence, with an end that belongs to none */
  for (size_t at = 0; at < length;) {
    const unsigned char *p = (const unsigned char *)bytes + at;
    if (length - at < 4) p = memcpy(last, p, length - at);
    size_t size = utf8_length(p);
    if (size == 0) return false;
    memset(last, 0, sizeof last);
    at += size;
  }
  return true;
}

void text_json_string(struct text *text, const char *string) {
  const unsigned char *p = (const unsigned char *)string;
  text_bytes(text, "\"", 1);
  while (*p) {
    size_t length = utf8_length(p);
    if (length == 0) {
      text_bytes(text, "\\ufffd", 6);
      length = 1;
    } else if (*p == '"' || *p == '\\') {
      text_format(text, "\\%c", *p);
    } else if (*p < 0x20 || *p == 0x7f) {
      text_format(text, "\\u%04x", *p);
    } else {
      text_bytes(text, (const char *)p, length);
    }
    p += length;
  }
  text_bytes(text, "\"", 1);
}

/* Days since 1970-01-01 to a date. Own arithmetic, because gmtime_r() reads time zone files. */
static void civil_date(int64_t days, int64_t *year, unsigned *month, unsigned *day) {
  days += 719468; /* to 0000-03-01, so that the leap day ends a year */
  int64_t era = days / 146097;
  unsigned day_of_era = (unsigned)(days - era * 146097);
  unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned shifted = (5 * day_of_year + 2) / 153; /* 0 is March */
  *day = day_of_year - (153 * shifted + 2) / 5 + 1;
  *month = shifted < 10 ? shifted + 3 : shifted - 9;
  *year = (int64_t)year_of_era + era * 400 + (*month <= 2);
}

void text_json_time(struct text *text, const struct timespec *time) {
  int64_t days = time->tv_sec / 86400, year;
  unsigned second = (unsigned)(time->tv_sec % 86400), month, day;
  civil_date(days, &year, &month, &day);
  text_format(text, "\"%04lld-%02u-%02uT%02u:%02u:%02u.%03ldZ\"", (long long)year, month, day, second / 3600,
              second / 60 % 60, second % 60, time->tv_nsec / 1000000);
}

void text_json_now(struct text *text) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  text_json_time(text, &now);
}
