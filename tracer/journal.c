#include "journal.h"

#include "text.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static int journal = -1;
static const char *journal_container;

bool journal_open(const char *path, const char *container) {
  if (!path) return true;
  journal_container = container;
  journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
  return journal >= 0;
}

void journal_write(const char *event, pid_t pid, const char *format, ...) {
  char message[1024], buffer[8192];
  struct text line = TEXT_ON(buffer);
  va_list arguments;
  if (journal < 0) return;
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
