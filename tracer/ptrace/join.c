#include "ptrace/join.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

static int open_mount_namespace(pid_t pid, struct stat *status) {
  char path[64];
  struct statfs system;
  snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  if (fstatfs(fd, &system) == 0 && fstat(fd, status) == 0) {
    if ((unsigned long)system.f_type == NSFS_MAGIC) return fd;
    errno = ENOSYS; /* that is no procfs */
  }
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

const char *join_begin(struct join *join, int *error) {
  struct stat runtime, container;
  int fd = open_mount_namespace(join->container, &container);
  *error = errno;
  if (fd < 0) return "cannot look at the mount namespace of the container's init";
  close(fd);
  join->held = open_mount_namespace(join->runtime, &runtime);
  *error = errno;
  if (join->held < 0) return "cannot look at the mount namespace of the runtime";
  *error = 0;
  join->device = runtime.st_dev;
  join->inode = runtime.st_ino;
  if (join_place(join, join->container) == JOIN_INSIDE) return NULL;
  return "the container has no mount namespace of its own, so a process that joins it cannot be told from the runtime's";
}

enum join_place join_place(const struct join *join, pid_t tid) {
  char path[64];
  struct stat status;
  snprintf(path, sizeof path, "/proc/%d/ns/mnt", tid);
  /* ENOENT: mntns_get() in fs/namespace.c finds no namespace, as after exit_task_namespaces(); or the process is gone */
  if (stat(path, &status) != 0) return errno == ENOENT ? JOIN_ENDING : JOIN_UNKNOWN;
  return status.st_dev == join->device && status.st_ino == join->inode ? JOIN_HOME : JOIN_INSIDE;
}
