#include "repeat/shim_line.h"

#include "base/text.h"
#include "repeat/runtime_options.h"

#include <stdlib.h>
#include <string.h>

static bool includes(const char *const *names, const char *name, size_t length) {
  for (; *names; names++) {
    if (strlen(*names) == length && memcmp(*names, name, length) == 0) return true;
  }
  return false;
}

/* --name=value, --name value, -name value. */
struct option {
  const char *name, *value; /* NULL: none that is part of it */
  size_t length;            /* of the name */
  bool two_dashes;
};

static bool is_option(const char *argument, struct option *option) {
  if (argument[0] != '-') return false;
  option->two_dashes = argument[1] == '-';
  option->name = argument + 1 + option->two_dashes;
  option->length = strcspn(option->name, "=");
  option->value = option->name[option->length] == '=' ? option->name + option->length + 1 : NULL;
  return true;
}

static bool named(const struct option *option, const char *name) {
  return strlen(name) == option->length && memcmp(option->name, name, option->length) == 0;
}

static void take_own(struct shim_line *line, const struct option *option, const char *value) {
  if (named(option, "config")) line->config = value;
  else if (named(option, "mode")) line->mode = value;
  else if (named(option, "policy")) line->policy = value;
  else if (named(option, "action")) line->action = value;
}

static void take_global(struct shim_line *line, const struct option *option, const char *value) {
  if (named(option, "root") || named(option, "r")) line->root = value;
  if (named(option, "log") || named(option, "l")) line->log = value;
}

/* The options before the subcommand. Returns how many arguments they are, or -1: the program shall judge. */
static int read_globals(struct shim_line *line, int argc, char **argv) {
  struct option option;
  int at = 0;
  for (; at < argc && is_option(argv[at], &option); at++) {
    bool own = option.two_dashes && includes(own_options, option.name, option.length);
    int first = at;
    if (own || includes(value_options, option.name, option.length)) {
      const char *value = option.value ? option.value : at + 1 < argc ? argv[++at] : NULL;
      if (!value) return -1;
      if (own) take_own(line, &option, value);
      else take_global(line, &option, value);
    } else if (!includes(flag_options, option.name, option.length)) {
      return -1;
    }
    while (!own && first <= at) line->globals[line->global_count++] = argv[first++];
  }
  return at;
}

/* What follows create or run. False: the program shall judge. */
static bool read_rest(struct shim_line *line, const char *const *flags) {
  struct option option;
  bool ended = false;
  for (int at = 0; at < line->rest_count; at++) {
    char *argument = line->rest[at];
    bool ends = !ended && strcmp(argument, "--") == 0;
    if (ended || ends || argument[0] != '-' || !argument[1]) {
      if (!line->id && !ends) line->id = argument;
      line->others[line->other_count++] = argument;
      ended = ended || ends;
      continue;
    }
    is_option(argument, &option);
    /* Runtimes differ about -name and -n=value. */
    if (!option.two_dashes && (option.length != 1 || option.value)) return false;
    if (includes(flags, option.name, option.length)) {
      line->others[line->other_count++] = argument;
    } else if (includes(create_values, option.name, option.length)) {
      char *value = at + 1 < line->rest_count ? line->rest[at + 1] : NULL;
      if (!option.value && !value) return false;
      if (includes(bundle_options, option.name, option.length)) {
        line->bundle = option.value ? option.value : value;
      } else {
        line->others[line->other_count++] = argument;
        if (!option.value) line->others[line->other_count++] = value;
      }
      if (!option.value) at++;
    } else {
      return false;
    }
  }
  return line->id && line->id[0];
}

static bool is_text(int argc, char **argv) {
  for (int i = 0; i < argc; i++) {
    if (!text_is_utf8(argv[i], strlen(argv[i]))) return false;
  }
  return true;
}

enum shim_kind shim_read(struct shim_line *line, int argc, char **argv) {
  *line = (struct shim_line){.globals = calloc(2 * (size_t)argc + 2, sizeof *line->globals)};
  if (!line->globals) return SHIM_ASKS;
  line->others = line->globals + argc + 1;
  int at = read_globals(line, argc, argv);
  if (at < 0 || at == argc) return SHIM_ASKS;
  const char *subcommand = line->subcommand = argv[at++];
  line->rest = argv + at;
  line->rest_count = argc - at;
  if (includes(passed_subcommands, subcommand, strlen(subcommand))) return SHIM_PASSES;
  bool known = strcmp(subcommand, "create") == 0 ? read_rest(line, create_flags)
               : strcmp(subcommand, "run") == 0  ? read_rest(line, run_flags)
                                                 : false;
  /* --policy and --action alone are an error. */
  return known && is_text(argc, argv) && (line->mode || !(line->policy || line->action)) ? SHIM_CREATES : SHIM_ASKS;
}
