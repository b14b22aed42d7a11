#include "learn/live.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

volatile struct live *live_open(void) {
  static struct live nobody;
  int fd = memfd_create(LIVE_NAME, MFD_CLOEXEC);
  if (fd < 0) return &nobody;
  /* Its one page is there before anything is written through the mapping, and stays: no SIGBUS. */
  struct live *live = MAP_FAILED;
  if (write(fd, &nobody, sizeof nobody) == sizeof nobody)
    live = mmap(NULL, sizeof *live, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (live != MAP_FAILED) return live;
  close(fd);
  return &nobody;
}

uint64_t live_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
