/* The digest of the container's program, computed in a child process so that tracing is not held up. */
#ifndef DIGEST_H
#define DIGEST_H

#include "base/sha256.h"

#include <stdbool.h>
#include <sys/types.h>

struct digest {
  pid_t child; /* 0: none under way */
  int result;  /* the pipe's end that the child's answer comes from */
};

/* Begin to hash the file /proc/PID/exe, which must be stopped, so that the file is the one that it executes. */
bool digest_start(struct digest *digest, pid_t pid);

/* Take the answer, waiting at most `milliseconds` for it; the child is gone afterwards. */
bool digest_take(struct digest *digest, int milliseconds, char hex[SHA256_HEX_SIZE]);

#endif
