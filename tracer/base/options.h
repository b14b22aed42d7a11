/* Parsing options. What finds a bad one prints a message. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Parse an option's value. False: it is bad. */
bool option_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value);
bool option_pid(const char *name, const char *text, pid_t *pid);

/* Print a help text on stdout; returns exit status 0. */
int option_help(const char *text);

/* Which container: --pid or --state; or --joining with --pid and --container-pid. */
struct option_target {
  pid_t pid;
  pid_t container; /* --container-pid; 0: none */
  bool from_state, joining;
};

/* Members of these for a command's list of options. */
#define OPTION_HELP {"help", no_argument, NULL, 'h'}
#define OPTION_PID {"pid", required_argument, NULL, 'p'}
#define OPTION_STATE {"state", no_argument, NULL, 's'}
#define OPTION_TARGET \
  OPTION_PID, OPTION_STATE, {"joining", no_argument, NULL, 'J'}, {"container-pid", required_argument, NULL, 'C'}

/* Answer what a command itself does not: the options above (`target` NULL: only --help), and what getopt_long() does not know. False:
   the command is over, with *status. */
bool option_take(int option, char *const *argv, const char *help, struct option_target *target, int *status);

/* After the last option. 0, or EXIT_USAGE: something follows; or the options do not say one container. */
int option_end(int argc, char *const *argv);
int option_target_end(int argc, char *const *argv, const struct option_target *target);

#endif
