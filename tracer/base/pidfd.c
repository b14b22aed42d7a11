#include "base/pidfd.h"

#include "base/procfs.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int pidfd_of(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

/* struct pidfd_info as of Linux 6.15, PIDFD_GET_INFO and PIDFD_INFO_EXIT, <linux/pidfd.h> */
struct pidfd_info {
  uint64_t mask, cgroupid;
  uint32_t pid, tgid, ppid, ids[8];
  int32_t exit_code;
};
#define PIDFD_GET_INFO _IOWR(0xFF, 11, struct pidfd_info)
enum { PIDFD_INFO_EXIT = 1 << 3 };

/* Known from when it has been reaped. */
static bool status_after_reaping(int pidfd, int *status) {
  struct pidfd_info info = {.mask = PIDFD_INFO_EXIT};
  if (ioctl(pidfd, PIDFD_GET_INFO, &info) != 0 || !(info.mask & PIDFD_INFO_EXIT)) return false;
  *status = info.exit_code;
  return true;
}

/* Field 52 of /proc/PID/stat, of a zombie. */
static bool status_before_reaping(int pidfd, pid_t pid, int *status) {
  char path[64], buffer[2048];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  if (procfs_read(path, buffer, sizeof buffer) < 0) return false;
  const char *state = strrchr(buffer, ')'), *last = strrchr(buffer, ' ');
  if (!state || strncmp(state, ") Z ", 4) != 0 || !last) return false;
  *status = (int)strtol(last, NULL, 10);
  /* Only if it has not been reaped to this moment the file was its own, and no later process's with the same id. */
  return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0;
}

bool pidfd_exit_status(int pidfd, pid_t pid, int *status) {
  /* It can be reaped between the two questions, but only once. */
  return status_after_reaping(pidfd, status) || status_before_reaping(pidfd, pid, status) ||
         status_after_reaping(pidfd, status);
}
