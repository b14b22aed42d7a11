#include "learn/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum stream_step stream_create(struct stream *stream, const char *path, uint64_t reserve) {
  *stream = (struct stream){.fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (stream->fd < 0) return STREAM_CREATE;
  enum stream_step failed = STREAM_OK;
  if (flock(stream->fd, LOCK_EX | LOCK_NB) != 0) failed = STREAM_LOCK;
  /* Reserve blocks without changing the size, so that readers see lines only. A file system that cannot is fine. */
  else if (reserve > 0 && fallocate(stream->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)reserve) != 0 &&
           errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
    failed = STREAM_ALLOCATE;
  if (failed != STREAM_OK) {
    int error = errno;
    unlink(path);
    close(stream->fd);
    errno = error;
  }
  return failed;
}

bool stream_line(struct stream *stream, struct text *line) {
  text_bytes(line, "\n", 1);
  if (line->truncated) {
    stream->failed++;
    return false;
  }
  if (stream->torn && ftruncate(stream->fd, stream->size) == 0) stream->torn = false;
  ssize_t written = stream->torn ? -1 : write(stream->fd, line->data, line->length);
  if (written == (ssize_t)line->length) {
    stream->size += written;
    return true;
  }
  stream->failed++;
  /* A full disk can take a part of a line. Readers must never see half a line that a later one then continues. */
  if (written > 0) stream->torn = ftruncate(stream->fd, stream->size) != 0;
  return false;
}

void stream_sync(struct stream *stream) {
  if (ftruncate(stream->fd, stream->size) != 0) { /* the reserved blocks stay with the file: harmless */
  }
  fdatasync(stream->fd);
}
