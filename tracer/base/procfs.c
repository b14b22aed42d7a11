#include "base/procfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t read_raw(const char *path, char *buffer, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t length = 0;
  for (;;) {
    ssize_t got = read(fd, buffer + length, size - length);
    if (got < 0) {
      close(fd);
      return -1;
    }
    if (got == 0) break;
    length += (size_t)got;
    if (length == size) break;
  }
  close(fd);
  return (ssize_t)length;
}

ssize_t procfs_read(const char *path, char *buffer, size_t size) {
  ssize_t length = read_raw(path, buffer, size - 1);
  if (length < 0) return -1;
  if (length > 0 && buffer[length - 1] == '\n') length--;
  buffer[length] = 0;
  return length;
}

/* /proc/PID/FILE */
static void path_of(pid_t pid, const char *file, char path[64]) {
  if (pid == 0) snprintf(path, 64, "/proc/self/%s", file);
  else snprintf(path, 64, "/proc/%d/%s", pid, file);
}

/* The line of a file that begins with `key`, without that; NULL: none. Longer lines than there is room for are passed over: that of a process's
   groups may have any length. */
static char *find_line(int fd, const char *key, char *buffer, size_t size) {
  size_t length = 0, key_length = strlen(key);
  bool passing = false; /* the rest of a longer line */
  for (;;) {
    ssize_t got = read(fd, buffer + length, size - length);
    if (got <= 0) return NULL;
    char *line = buffer, *end, *last = buffer + length + got;
    while ((end = memchr(line, '\n', (size_t)(last - line)))) {
      *end = 0;
      if (!passing && strncmp(line, key, key_length) == 0) return line + key_length;
      passing = false;
      line = end + 1;
    }
    length = (size_t)(last - line);
    memmove(buffer, line, length);
    if (length == size) {
      passing = true;
      length = 0;
    }
  }
}

/* The text after "NAME:" in /proc/PID/status; NULL: none. */
static char *status_value(pid_t pid, const char *name, char *buffer, size_t size) {
  char path[64], key[64];
  path_of(pid, "status", path);
  snprintf(key, sizeof key, "%s:", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  char *value = find_line(fd, key, buffer, size); /* the process chooses what stands behind Name:, but no newline in it */
  close(fd);
  return value;
}

int64_t procfs_status_number(pid_t pid, const char *name) {
  char buffer[8192];
  char *value = status_value(pid, name, buffer, sizeof buffer);
  if (!value) return -1;
  char *last = strrchr(value, '\t');
  return strtoll(last ? last : value, NULL, 10);
}

bool procfs_capable(pid_t pid, unsigned capability) {
  char buffer[8192];
  char *value = status_value(pid, "CapEff", buffer, sizeof buffer);
  return value && (strtoull(value, NULL, 16) >> capability & 1);
}

char procfs_state(pid_t tid) {
  char buffer[8192];
  char *value = status_value(tid, "State", buffer, sizeof buffer);
  return value ? value[strspn(value, "\t ")] : 0;
}

uint64_t procfs_own_start(void) {
  char buffer[1024];
  if (procfs_read("/proc/self/stat", buffer, sizeof buffer) < 0) return 0;
  char *field = strrchr(buffer, ')'); /* field 2 is the name in parentheses and may hold anything */
  for (int n = 2; field && n < 22; n++) {
    field = strchr(field + 1, ' ');
  }
  return field ? strtoull(field, NULL, 10) : 0;
}

uint64_t procfs_auxv(pid_t pid, uint64_t type, bool compat) {
  char path[64];
  union {
    char bytes[4096];
    uint64_t wide[512];
    uint32_t narrow[1024];
  } auxv;
  path_of(pid, "auxv", path);
  ssize_t length = read_raw(path, auxv.bytes, sizeof auxv.bytes);
  size_t pairs = length <= 0 ? 0 : (size_t)length / (compat ? 8 : 16);
  for (size_t i = 0; i < pairs; i++) {
    uint64_t key = compat ? auxv.narrow[2 * i] : auxv.wide[2 * i];
    if (key == type) return compat ? auxv.narrow[2 * i + 1] : auxv.wide[2 * i + 1];
  }
  return 0;
}

bool procfs_exe(pid_t pid, char *buffer, size_t size) {
  char path[64];
  path_of(pid, "exe", path);
  ssize_t length = readlink(path, buffer, size - 1);
  if (length < 0) return false;
  buffer[length] = 0;
  return true;
}
