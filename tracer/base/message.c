#include "base/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

const char *message_command = NULL;

static char text[2048];

static void print(const char *format, va_list arguments, const char *tail) {
  char line[2300];
  vsnprintf(text, sizeof text, format, arguments);
  int length = snprintf(line, sizeof line, "oci-sandbox-tracer: %s%s%s%s\n", message_command ? message_command : "",
                        message_command ? ": " : "", text, tail);
  if (length >= (int)sizeof line) length = sizeof line - 1;
  ssize_t written = write(STDERR_FILENO, line, (size_t)length);
  (void)written; /* nobody is left to tell */
}

int message_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print(format, arguments, "");
  va_end(arguments);
  return EXIT_FAILED;
}

int message_usage(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print(format, arguments, " (--help lists what there is)");
  va_end(arguments);
  return EXIT_USAGE;
}

const char *message_last(void) { return text; }

const char *message_attach_hint(int error) {
  switch (error) {
    case EPERM:
      return " (root or CAP_SYS_PTRACE over the process is needed, no other tracer may be attached to it, and Yama's"
             " ptrace_scope must be below 3)";
    case ESRCH:
      return " (the process is gone: the container's init ended before the hook ran)";
    default:
      return "";
  }
}
