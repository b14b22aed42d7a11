#include "options.h"

#include "message.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool option_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value) {
  char *end;
  errno = 0;
  unsigned long long number = strtoull(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end || errno || number < least || number > most) {
    message_usage("%s %s: expected a number from %llu to %llu", name, text, (unsigned long long)least,
                  (unsigned long long)most);
    return false;
  }
  *value = number;
  return true;
}

bool option_pid(const char *name, const char *text, pid_t *pid) {
  uint64_t number;
  /* PID_MAX_LIMIT on 64-bit machines, include/linux/threads.h */
  if (!option_number(name, text, 1, 4194304, &number)) return false;
  *pid = (pid_t)number;
  return true;
}

int option_help(const char *text) {
  size_t length = strlen(text);
  return write(STDOUT_FILENO, text, length) == (ssize_t)length ? 0 : EXIT_FAILED;
}

int option_unknown(char *const *argv) {
  const char *word = argv[optind - 1];
  if (optopt > 0 && optopt < 256) return message_usage("unknown option -%c", optopt);
  return message_usage("unknown, ambiguous or incomplete option %s", word);
}
