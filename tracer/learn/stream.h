/* The file that learn writes: lines of JSON, each one write(2), under an exclusive lock. */
#ifndef STREAM_H
#define STREAM_H

#include "base/text.h"

#include <stdint.h>
#include <sys/types.h>

struct stream {
  int fd;
  off_t size;      /* the end of the last whole line */
  uint64_t failed; /* lines that could not be written */
  bool torn;       /* a part of a line is in the file and could not be cut off */
};

enum stream_step { STREAM_OK, STREAM_CREATE, STREAM_LOCK, STREAM_ALLOCATE };

/* Create the file, which must not exist, lock it and reserve space on disk. On failure errno is set, nothing is left
   behind, and the result says what failed. */
enum stream_step stream_create(struct stream *stream, const char *path, uint64_t reserve);

/* Add the newline and write the line. False: it is not in the file, and counted. */
bool stream_line(struct stream *stream, struct text *line);

/* Give back the reserved space that was not used and wait until the data is on disk. */
void stream_sync(struct stream *stream);

#endif
