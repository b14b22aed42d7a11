/* The command line of oci-sandbox-runtime, as src/shim/options.ts and src/shim/subcommand.ts read it. The options are in runtime_options.h, which is
   generated. */
#ifndef SHIM_LINE_H
#define SHIM_LINE_H

#include <stdbool.h>

struct shim_line {
  const char *config, *mode, *policy, *action; /* our own options; NULL: not given */
  const char *root, *log;
  /* Arguments for the runtime: its options before the subcommand, the subcommand, and what follows. */
  char **globals, *subcommand, **rest;
  int global_count, rest_count;
  /* create and run */
  const char *id, *bundle;
  char **others; /* of the rest: all but the bundle */
  int other_count;
};

enum shim_kind {
  SHIM_ASKS,    /* it is not certain that the program would read the same, or the program has the work to do */
  SHIM_PASSES,  /* a subcommand that starts nothing */
  SHIM_CREATES, /* create or run */
};

/* Read it. What has been found is in `line' also when the program is to be asked. */
enum shim_kind shim_read(struct shim_line *line, int argc, char **argv);

#endif
