#include "base/options.h"

#include "base/message.h"

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

static int unknown(char *const *argv) {
  const char *word = argv[optind - 1];
  if (optopt > 0 && optopt < 256) return message_usage("unknown option -%c", optopt);
  return message_usage("unknown, ambiguous or incomplete option %s", word);
}

bool option_take(int option, char *const *argv, const char *help, struct option_target *target, int *status) {
  *status = EXIT_USAGE;
  if (target && option == 'p') return option_pid("--pid", optarg, &target->pid);
  if (target && option == 'C') return option_pid("--container-pid", optarg, &target->container);
  if (target && option == 's') return target->from_state = true;
  if (target && option == 'J') return target->joining = true;
  *status = option == 'h' ? option_help(help) : unknown(argv);
  return false;
}

int option_end(int argc, char *const *argv) {
  return optind < argc ? message_usage("unexpected argument %s", argv[optind]) : 0;
}

int option_target_end(int argc, char *const *argv, const struct option_target *target) {
  if (option_end(argc, argv) != 0) return EXIT_USAGE;
  if (target->from_state == (target->pid != 0)) return message_usage("expected one of --pid and --state");
  if (target->joining != (target->container != 0) || (target->joining && target->from_state))
    return message_usage("expected --joining, --pid and --container-pid together, or none but --pid or --state");
  return 0;
}
