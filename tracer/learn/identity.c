#include "learn/identity.h"

#include "base/procfs.h"
#include "base/text.h"
#include "ptrace/tracee.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long long field(const char *status, const char *name, bool last, unsigned *count) {
  char key[32];
  snprintf(key, sizeof key, "\n%s:", name);
  const char *at = strstr(status, key);
  long long value = 0;
  if (count) *count = 0;
  if (!at) return 0;
  at += strlen(key);
  while (*at == '\t' || *at == ' ') {
    char *end;
    value = strtoll(at, &end, 10);
    if (end == at) break;
    at = end;
    if (count) ++*count;
    if (!last) break;
  }
  return value;
}

static bool read_status(pid_t pid, char *buffer, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  return procfs_read(path, buffer, size) > 0;
}

/* As the container sees it; 0: it is outside. */
static long long parent_inside(pid_t parent, unsigned levels) {
  char status[8192];
  unsigned own = 0;
  if (parent <= 0 || !read_status(parent, status, sizeof status)) return 0;
  long long id = field(status, "NSpid", true, &own);
  return own >= levels ? id : 0;
}

/* Field 22 of /proc/TID/stat, in ticks since the boot, as nanoseconds since 1970. */
static long long start_time(pid_t tid) {
  char path[64], stat[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", tid);
  if (procfs_read(path, stat, sizeof stat) < 0) return 0;
  char *at = strrchr(stat, ')');
  for (int n = 2; at && n < 22; n++) at = strchr(at + 1, ' ');
  struct timespec real, boot;
  clock_gettime(CLOCK_REALTIME, &real);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  long long booted = (real.tv_sec - boot.tv_sec) * 1000000000LL + real.tv_nsec - boot.tv_nsec;
  return at ? booted + strtoll(at, NULL, 10) * (1000000000LL / sysconf(_SC_CLK_TCK)) : 0;
}

static unsigned long namespace_of(pid_t tid, const char *name) {
  char link[TRACEE_PATH_MAX], path[32];
  snprintf(path, sizeof path, "ns/%s", name);
  const char *number = tracee_link(tid, path, link) ? strchr(link, '[') : NULL;
  return number ? strtoul(number + 1, NULL, 10) : 0;
}

/* The id of a cgroup is the inode of its directory (cgroup 2: the line `0::/path`). */
static unsigned long cgroup_of(pid_t tid) {
  static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
  char path[64], lines[8192], directory[8192 + 64];
  struct stat found;
  snprintf(path, sizeof path, "/proc/%d/cgroup", tid);
  if (procfs_read(path, lines, sizeof lines) < 0) return 0;
  char *line = strncmp(lines, "0::", 3) == 0 ? lines : strstr(lines, "\n0::");
  if (!line) return 0;
  line = strchr(line, '/');
  if (!line) return 0;
  line[strcspn(line, "\n")] = 0;
  for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
    snprintf(directory, sizeof directory, "%s%s", mounts[i], line);
    if (stat(directory, &found) == 0) return found.st_ino;
  }
  return 0;
}

char *identity_of(pid_t tid, const char *container) {
  char buffer[32768], status[8192], exe[TRACEE_PATH_MAX], name[64], path[64];
  struct text text = TEXT_ON(buffer);
  unsigned levels;
  if (!read_status(tid, status, sizeof status)) *status = 0;
  long long thread = field(status, "NSpid", true, &levels);
  long long process = field(status, "NStgid", true, NULL), parent = field(status, "PPid", false, NULL);
  snprintf(path, sizeof path, "/proc/%d/comm", tid);
  if (procfs_read(path, name, sizeof name) < 0) *name = 0;
  if (!tracee_link(tid, "exe", exe)) *exe = 0;
  text_format(&text, "\"threadStartTime\":%lld,\"processorId\":-1,\"processId\":%lld,\"cgroupId\":%lu", start_time(tid), process,
              cgroup_of(tid));
  text_format(&text, ",\"threadId\":%lld,\"parentProcessId\":%lld", thread, parent_inside((pid_t)parent, levels));
  text_format(&text, ",\"hostProcessId\":%lld,\"hostThreadId\":%d,\"hostParentProcessId\":%lld,\"userId\":%lld",
              field(status, "Tgid", false, NULL), tid, parent, field(status, "Uid", false, NULL));
  text_format(&text, ",\"mountNamespace\":%lu,\"pidNamespace\":%lu,\"processName\":", namespace_of(tid, "mnt"),
              namespace_of(tid, "pid"));
  text_json_string(&text, name);
  text_format(&text, ",\"executable\":{\"path\":");
  text_json_string(&text, exe);
  text_format(&text, "},\"hostName\":\"\",\"containerId\":");
  text_json_string(&text, container);
  text_bytes(&text, "", 1);
  return text.truncated ? NULL : strdup(buffer);
}
