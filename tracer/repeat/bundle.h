/* A bundle's config.json, as far as it must be known to add to it what the program would add (src/shim/prepare.ts). What is added is written
   between the bytes that are there, which stay as they are. */
#ifndef BUNDLE_H
#define BUNDLE_H

#include "base/text.h"
#include "repeat/question.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* An object or an array: where its closing bracket is. */
struct bundle_list {
  bool there, empty;
  size_t end;
};

struct bundle {
  struct strict strict;
  struct annotations annotations; /* those that decide */
  struct bundle_list top, all_annotations, hooks, create_runtime, poststop;
  bool seccomp, no_new_privileges; /* linux.seccomp is there; process.noNewPrivileges is true */
  /* The helper's enforce hook, which a manifest has put there, and the configuration that it names; NULL: none. */
  const char *own_hook, *own_config;
  /* A root.path that is relative, and where its string is; NULL: it is absolute. */
  const char *root;
  size_t root_at, root_end;
  /* The source of what is mounted on /etc/hostname; NULL: none. */
  const char *hostname;
};

/* A configuration, or another text of at most 1 MiB, in memory that stays. NULL with errno. */
char *bundle_read(const char *path, size_t *length);

/* Read it. False: it is not certain that the program would find the same in it, or would only add to it. */
bool bundle_parse(struct bundle *bundle, const char *text, size_t length);

/* Add the image that Docker's own description of the container names (src/shim/docker.ts), where the configuration names none. False: it is
   not certain which. */
bool bundle_add_image(struct bundle *bundle);

/* Does the container need a hook of ours? Not where this helper's is there, with this configuration (NULL: the usual one). False: it is not
   certain. */
bool bundle_needs_hook(const struct bundle *bundle, const char *config, bool *needed);

/* What is to be added. */
struct bundle_change {
  size_t annotations;      /* the first of bundle->annotations that is not in the text */
  const char *start_hook, *end_hook; /* as JSON; NULL: none */
  const char *root;        /* the new root.path; NULL: as it is */
};

/* Write the changed text. False: there is no room. */
bool bundle_write(const struct bundle *bundle, const struct bundle_change *change, struct text *output);

/* The path that a relative one means in a directory; an absolute one means itself, none or "." the directory. False: it would have to be
   resolved, or is too long. */
bool bundle_path(const char *path, const char *directory, char absolute[PATH_MAX]);

#endif
