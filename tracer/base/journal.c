#include "base/journal.h"

#include "base/text.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int journal = -1;
static const char *journal_container;
static enum journal_level journal_level;

bool journal_parse_level(const char *text, enum journal_level *level) {
  static const char *const names[] = {"error", "warning", "info", "debug"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(text, names[i]) != 0) continue;
    *level = (enum journal_level)i;
    return true;
  }
  return false;
}

/* The same levels as in src/host/journal.ts. */
static enum journal_level level_of(const char *event) {
  if (strcmp(event, "refused") == 0 || strcmp(event, "killed") == 0) return JOURNAL_ERROR;
  return strcmp(event, "ended") == 0 ? JOURNAL_WARNING : JOURNAL_INFO;
}

bool journal_open(const char *path, const char *container, enum journal_level level) {
  if (!path) return true;
  journal_container = container;
  journal_level = level;
  journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
  return journal >= 0;
}

void journal_write(const char *event, pid_t pid, const char *format, ...) {
  char message[1024], buffer[8192];
  struct text line = TEXT_ON(buffer);
  va_list arguments;
  if (journal < 0 || level_of(event) > journal_level) return;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  text_format(&line, "{\"time\":");
  text_json_now(&line);
  text_format(&line, ",\"event\":\"%s\"", event);
  if (journal_container) {
    text_format(&line, ",\"container\":");
    text_json_string(&line, journal_container);
  }
  text_format(&line, ",\"pid\":%d,\"message\":", pid);
  text_json_string(&line, message);
  text_bytes(&line, "}\n", 2);
  ssize_t written = write(journal, line.data, line.length);
  (void)written; /* the journal reports what happens, it does not decide it */
}
