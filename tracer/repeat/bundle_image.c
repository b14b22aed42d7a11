/* The image of a container of Docker's, which config.json does not tell: as src/shim/docker.ts. */
#include "repeat/bundle.h"

#include "repeat/annotations.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The length of the directory in DATA-ROOT/containers/ID/hostname; 0: the path is not such a one. */
static size_t docker_directory(const char *path) {
  static const char parent[] = "/containers/", name[] = "/hostname";
  enum { ID_SIZE = 64, TAIL = sizeof parent - 1 + ID_SIZE + sizeof name - 1 };
  size_t length = strlen(path);
  if (length < TAIL) return 0;
  const char *tail = path + length - TAIL, *id = tail + sizeof parent - 1;
  if (memcmp(tail, parent, sizeof parent - 1) != 0 || strcmp(id + ID_SIZE, name) != 0) return 0;
  if (strspn(id, "0123456789abcdef") != ID_SIZE) return 0;
  return length - (sizeof name - 1);
}

static const char *read_image(struct strict *strict) {
  const char *key, *image = NULL;
  struct strict_object object;
  if (!strict_enter(strict, &object)) return NULL;
  while ((key = strict_key(strict, &object))) {
    if (strcmp(key, "Image") == 0) image = strict_text(strict);
    else strict_skip(strict);
  }
  return image;
}

bool bundle_add_image(struct bundle *bundle) {
  static struct strict strict;
  char path[PATH_MAX];
  struct strict_object object;
  const char *key, *image = NULL;
  size_t length, size = bundle->hostname ? docker_directory(bundle->hostname) : 0;
  if (size == 0 || annotations_find(&bundle->annotations, DOCKER_IMAGE_KEY)) return true;
  if (snprintf(path, sizeof path, "%.*s/config.v2.json", (int)size, bundle->hostname) >= (int)sizeof path) return false;
  char *text = bundle_read(path, &length);
  if (!text) return errno == ENOENT;
  if (!strict_start(&strict, text, length) || !strict_enter(&strict, &object)) return false;
  while ((key = strict_key(&strict, &object))) {
    if (strcmp(key, "Config") == 0) image = read_image(&strict);
    else strict_skip(&strict);
  }
  if (!strict_end(&strict)) return false;
  return !image || !image[0] || annotations_add(&bundle->annotations, DOCKER_IMAGE_KEY, image);
}
