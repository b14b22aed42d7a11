#include "repeat/container.h"

#include "base/procfs.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/trust.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* src/shim/container.ts, MANY: from so many containers on, directories that nobody has removed are looked for; so often, in seconds. */
enum { MANY = 30, COLLECT_EVERY = 60 };

/* Is it the program's turn to look? It has noted when it did so last. */
static bool collection_due(const char *path) {
  char stamp[PATH_MAX];
  struct stat status;
  int count = 0;
  DIR *directory = opendir(path);
  if (!directory) return true;
  while (count < MANY + 2 && readdir(directory)) count++;
  closedir(directory);
  if (count < MANY + 2) return false; /* "." and ".." are two */
  if (snprintf(stamp, sizeof stamp, "%.*s/collected", (int)(strrchr(path, '/') - path), path) >= (int)sizeof stamp) return true;
  time_t now = time(NULL);
  return stat(stamp, &status) != 0 || status.st_mtime > now || status.st_mtime + COLLECT_EVERY < now;
}

bool container_claim(struct container *container) {
  char path[PATH_MAX], hex[SHA256_HEX_SIZE];
  unsigned char digest[SHA256_SIZE];
  struct sha256 sha;
  if (!trusted_run_directory("containers", path) || collection_due(path)) return false;
  sha256_start(&sha);
  if (container->root) sha256_update(&sha, container->root, strlen(container->root));
  sha256_update(&sha, "", 1);
  sha256_update(&sha, container->id, strlen(container->id));
  sha256_finish(&sha, digest);
  sha256_hex(digest, hex);
  memcpy(container->key, hex, sizeof container->key - 1);
  if (snprintf(container->directory, PATH_MAX, "%s/%s", path, container->key) >= PATH_MAX) return false;
  return mkdir(container->directory, 0700) == 0;
}

static bool write_file(int directory, const char *name, const void *bytes, size_t length) {
  int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool written = write(fd, bytes, length) == (ssize_t)length;
  return close(fd) == 0 && written;
}

static void member(struct text *text, const char *key, const char *value) {
  text_json_string(text, key);
  text_bytes(text, ":", 1);
  text_json_string(text, value);
  text_bytes(text, ",", 1);
}

static bool write_record(const struct container *container, int directory) {
  static char bytes[8 * PATH_MAX];
  struct text text = TEXT_ON(bytes);
  text_format(&text, "{\"version\":1,");
  member(&text, "id", container->id);
  if (container->root) member(&text, "root", container->root);
  member(&text, "runtime", container->runtime);
  member(&text, "bundle", container->bundle);
  text_format(&text, "\"creator\":{\"pid\":%d,\"start\":%llu},", getpid(), (unsigned long long)procfs_own_start());
  member(&text, "kind", "enforce");
  member(&text, "policy", container->policy);
  text_format(&text, "\"method\":\"%s\"}\n", container->method);
  return !text.truncated && write_file(directory, "record.json", text.data, text.length);
}

static bool write_filters(int directory, const struct filter *filters, int count) {
  char name[64];
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "filter-%d-of-%d.bpf", i + 1, count);
    if (!write_file(directory, name, filters[i].instructions, filters[i].length * sizeof *filters[i].instructions)) return false;
  }
  return true;
}

/* Links to all that is beside config.json: hooks may look for it. */
static bool link_others(const char *from, int to) {
  char path[PATH_MAX];
  bool linked = true;
  struct dirent *entry;
  DIR *directory = opendir(from);
  if (!directory) return false;
  for (errno = 0; linked && (entry = readdir(directory)); errno = 0) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "config.json") == 0) continue;
    linked = snprintf(path, sizeof path, "%s/%s", from, name) < (int)sizeof path && symlinkat(path, to, name) == 0;
  }
  linked = linked && errno == 0;
  closedir(directory);
  return linked;
}

static bool write_bundle(const struct container *container, int directory, const char *config, size_t length) {
  if (mkdirat(directory, "bundle", 0700) != 0) return false;
  int bundle = openat(directory, "bundle", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (bundle < 0) return false;
  bool written = link_others(container->bundle, bundle) && write_file(bundle, "config.json", config, length);
  close(bundle);
  return written;
}

bool container_fill(const struct container *container, const struct filter *filters, int count, const char *config, size_t length) {
  int directory = open(container->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) return false;
  bool filled = write_record(container, directory) && write_filters(directory, filters, count) &&
                write_bundle(container, directory, config, length);
  close(directory);
  return filled;
}

enum { DEPTH = 2 /* DIRECTORY/bundle/NAME; names there are files and symbolic links, which are not followed */ };

/* What has gone meanwhile is as good as removed. */
static int remove_directory(int parent, const char *path, int depth) {
  int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), error = 0;
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (!directory) return errno == ENOENT ? 0 : errno;
  struct dirent *entry;
  while (error == 0 && (entry = readdir(directory))) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT) continue;
    error = errno == EISDIR && depth < DEPTH ? remove_directory(fd, entry->d_name, depth + 1) : errno;
  }
  closedir(directory);
  if (error == 0 && unlinkat(parent, path, AT_REMOVEDIR) != 0 && errno != ENOENT) error = errno;
  return error;
}

int container_remove(const char *directory) { return remove_directory(AT_FDCWD, directory, 1); }
