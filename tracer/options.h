/* Parsing option values. Each prints a message and returns false if the value is bad. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

bool option_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value);
bool option_pid(const char *name, const char *text, pid_t *pid);

/* Print a help text on stdout; returns exit status 0. */
int option_help(const char *text);

/* Report what getopt_long() returned '?' or ':' for. Returns EXIT_USAGE. */
int option_unknown(char *const *argv);

#endif
