/* forget: the hook at the end of a container that oci-sandbox-runtime has prepared. */
#include "base/message.h"
#include "base/options.h"
#include "commands.h"
#include "repeat/container.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: oci-sandbox-tracer forget DIRECTORY\n"
    "\n"
    "Remove what oci-sandbox-runtime has kept about a container that has ended: a directory whose\n"
    "last two names are containers/ and 32 hexadecimal digits. The container's state on standard\n"
    "input is read to its end before.\n"
    "\n"
    "  --help  print this text\n";

static bool is_kept(const char *path) {
  static const char parent[] = "/containers/";
  enum { KEY = sizeof CONTAINER_ANY - 1 };
  size_t length = strlen(path);
  if (path[0] != '/' || length < sizeof parent - 1 + KEY) return false;
  const char *name = path + length - KEY;
  return strspn(name, "0123456789abcdef") == KEY && memcmp(name - (sizeof parent - 1), parent, sizeof parent - 1) == 0;
}

int forget_command(int argc, char **argv) {
  char ignored[4096];
  if (argc == 2 && strcmp(argv[1], "--help") == 0) return option_help(help);
  if (argc != 2 || !is_kept(argv[1])) return message_usage("expected a directory as oci-sandbox-runtime makes them");
  /* crun 1.8.1 dies of SIGPIPE when a hook ends before the state is written to it. */
  ssize_t got;
  while ((got = read(STDIN_FILENO, ignored, sizeof ignored)) > 0 || (got < 0 && errno == EINTR)) {
  }
  int error = container_remove(argv[1]);
  return error == 0 ? 0 : message_fail("cannot remove %s: %s", argv[1], strerror(error));
}
