/* What oci-sandbox-runtime keeps about a container from create to its end (src/shim/container.ts): RUN_DIRECTORY/containers/KEY. */
#ifndef CONTAINER_H
#define CONTAINER_H

#include "filters/filters.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* The part of a path that stands for KEY in what is remembered, as long as that. */
#define CONTAINER_ANY "00000000000000000000000000000000"

struct container {
  const char *id, *root; /* root: the runtime's state directory; NULL: its usual one */
  const char *runtime, *bundle, *policy, *method;
  char key[sizeof CONTAINER_ANY];
  char directory[PATH_MAX]; /* of the container */
};

/* Make the directory. False: it is there already, or it is time to look for what others have left: both are the program's business. */
bool container_claim(struct container *container);

/* Write the filter, the record and the bundle, whose config.json is given; what else is in the caller's bundle is linked to. */
bool container_fill(const struct container *container, const struct filter *filters, int count, const char *config, size_t length);

/* Remove the directory. Returns 0 or the first errno. */
int container_remove(const char *directory);

#endif
