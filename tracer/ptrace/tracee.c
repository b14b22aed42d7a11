#include "ptrace/tracee.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096 /* the smallest page of any machine; a larger one only makes for more pieces */ };

static const struct tracee_capture *captured;

void tracee_use(const struct tracee_capture *capture) { captured = capture; }

/* The last one counts, as memory may have changed. */
static size_t read_captured(uint64_t address, void *buffer, size_t size) {
  for (unsigned i = captured->memories; i-- > 0;) {
    uint64_t begin = captured->memory[i].address, length = captured->memory[i].length;
    if (address < begin || address - begin >= length) continue;
    if (size > length - (address - begin)) size = length - (address - begin);
    memcpy(buffer, captured->memory[i].data + (address - begin), size);
    return size;
  }
  return 0;
}

static bool link_captured(const char *name, char text[TRACEE_PATH_MAX]) {
  for (unsigned i = 0; i < captured->links; i++) {
    if (strcmp(captured->link[i].name, name) != 0) continue;
    return snprintf(text, TRACEE_PATH_MAX, "%s", captured->link[i].path) < TRACEE_PATH_MAX;
  }
  return false;
}

/* One piece for each page: process_vm_readv(2) transfers whole pieces only. */
size_t tracee_read(pid_t tid, uint64_t address, void *buffer, size_t size) {
  enum { PIECES = 8 };
  size_t done = 0;
  if (captured) return read_captured(address, buffer, size);
  while (done < size) {
    struct iovec there[PIECES], here = {(char *)buffer + done, 0};
    unsigned pieces = 0;
    for (uint64_t at = address + done; pieces < PIECES && here.iov_len < size - done; pieces++) {
      size_t length = PAGE - at % PAGE;
      if (length > size - done - here.iov_len) length = size - done - here.iov_len;
      there[pieces] = (struct iovec){(void *)(uintptr_t)at, length};
      here.iov_len += length;
      at += length;
    }
    ssize_t got = process_vm_readv(tid, &here, 1, there, pieces, 0);
    if (got > 0) done += (size_t)got;
    if (got != (ssize_t)here.iov_len) break;
  }
  return done;
}

enum tracee_string tracee_path(pid_t tid, uint64_t address, char text[TRACEE_PATH_MAX]) {
  size_t have = 0, step = 256; /* few paths are longer */
  while (have < TRACEE_PATH_MAX) {
    size_t wanted = step < TRACEE_PATH_MAX - have ? step : TRACEE_PATH_MAX - have;
    size_t got = tracee_read(tid, address + have, text + have, wanted);
    if (memchr(text + have, 0, got)) return TRACEE_OK;
    if (got < wanted) return TRACEE_UNREADABLE;
    have += got;
    step = TRACEE_PATH_MAX;
  }
  return TRACEE_LONG;
}

bool tracee_link(pid_t tid, const char *name, char text[TRACEE_PATH_MAX]) {
  char path[64];
  if (captured) return link_captured(name, text);
  snprintf(path, sizeof path, "/proc/%d/%s", tid, name);
  ssize_t length = readlink(path, text, TRACEE_PATH_MAX);
  if (length < 0 || length >= TRACEE_PATH_MAX) return false;
  text[length] = 0;
  return true;
}

static bool is_number(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (!isdigit((unsigned char)text[i])) return false;
  }
  return length > 0;
}

/* Ids of processes and threads differ from run to run. Nothing in /proc is called PID or TID. */
static void hide_ids(struct tracee_name *name, const char **component, size_t *length) {
  if (!is_number(*component, *length)) return;
  name->text[name->length] = 0;
  bool process = strcmp(name->text, "/proc") == 0;
  bool task = strcmp(name->text, "/proc/PID/task") == 0 || strcmp(name->text, "/proc/self/task") == 0;
  if (!process && !task) return;
  *component = process ? "PID" : "TID";
  *length = 3;
}

/* `floor`: what .. cannot leave. */
static bool append(struct tracee_name *name, const char *path, size_t floor) {
  while (*path) {
    const char *component = path;
    size_t length = strcspn(path, "/");
    path += length + (path[length] == '/');
    if (length == 0 || (length == 1 && *component == '.')) continue;
    if (length == 2 && component[0] == '.' && component[1] == '.') {
      name->folded = true;
      while (name->length > floor && name->text[--name->length] != '/') continue;
      continue;
    }
    hide_ids(name, &component, &length);
    if (name->length + 1 + length >= TRACEE_PATH_MAX) return false;
    name->text[name->length++] = '/';
    memcpy(name->text + name->length, component, length);
    name->length += length;
  }
  return true;
}

bool tracee_name(struct tracee_name *name, const char *base, const char *path) {
  name->length = 0;
  bool good = append(name, base, 0);
  name->folded = false; /* the kernel's own names have no .. */
  good = good && append(name, path, *path == '/' ? name->length : 0);
  name->text[name->length] = 0;
  return good;
}
