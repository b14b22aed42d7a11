/* forget: the hook at the end of a container that oci-sandbox-runtime has prepared. */
#include "commands.h"
#include "message.h"
#include "options.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "Usage: oci-sandbox-tracer forget DIRECTORY\n"
    "\n"
    "Remove what oci-sandbox-runtime has kept about a container that has ended: a directory whose\n"
    "last two names are containers/ and 32 hexadecimal digits. The container's state on standard\n"
    "input is read to its end before.\n"
    "\n"
    "  --help  print this text\n";

enum { DEPTH = 2 /* DIRECTORY/bundle/NAME; names there are files and symbolic links, which are not followed */ };

static bool is_kept(const char *path) {
  static const char parent[] = "/containers/";
  size_t length = strlen(path);
  if (path[0] != '/' || length < sizeof parent - 1 + 32) return false;
  const char *name = path + length - 32;
  return strspn(name, "0123456789abcdef") == 32 && memcmp(name - (sizeof parent - 1), parent, sizeof parent - 1) == 0;
}

/* The first errno, or 0. What has gone meanwhile is as good as removed. */
static int remove_directory(int parent, const char *path, int depth) {
  int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), error = 0;
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (!directory) return errno == ENOENT ? 0 : errno;
  struct dirent *entry;
  while (error == 0 && (entry = readdir(directory))) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT) continue;
    error = errno == EISDIR && depth < DEPTH ? remove_directory(fd, entry->d_name, depth + 1) : errno;
  }
  closedir(directory);
  if (error == 0 && unlinkat(parent, path, AT_REMOVEDIR) != 0 && errno != ENOENT) error = errno;
  return error;
}

int forget_command(int argc, char **argv) {
  char ignored[4096];
  if (argc == 2 && strcmp(argv[1], "--help") == 0) return option_help(help);
  if (argc != 2 || !is_kept(argv[1])) return message_usage("expected a directory as oci-sandbox-runtime makes them");
  /* crun 1.8.1 dies of SIGPIPE when a hook ends before the state is written to it. */
  ssize_t got;
  while ((got = read(STDIN_FILENO, ignored, sizeof ignored)) > 0 || (got < 0 && errno == EINTR)) {
  }
  int error = remove_directory(AT_FDCWD, argv[1], 1);
  return error == 0 ? 0 : message_fail("cannot remove %s: %s", argv[1], strerror(error));
}
