/* How far a run has come, for whoever looks while it goes on: a memfd that maps into this process and is read through /proc/PID/fd
   (src/learn/progress.ts). No file, no line of the stream, no system call. */
#ifndef LIVE_H
#define LIVE_H

#include <stdbool.h>
#include <stdint.h>

/* The name by which readers find it: /proc/PID/fd/N is a link to "/memfd:oci-sandbox-live (deleted)". */
#define LIVE_NAME "oci-sandbox-live"

/* Little-endian numbers of 64 bits, each written for itself. */
struct live {
  uint64_t calls;   /* so far */
  uint64_t lost;    /* calls and tasks */
  uint64_t updated; /* when they were read, ns of CLOCK_MONOTONIC; 0: they are always those of now */
  uint64_t partial; /* not 0: some calls pass uncounted from here on */
};

/* Never fails: without a memfd nobody sees it. */
volatile struct live *live_open(void);

uint64_t live_now(void);

#endif
