/* lock: hold an exclusive lock on a file for a program that cannot call flock(2) itself. */
#include "base/message.h"
#include "base/options.h"
#include "commands.h"
#include "ptrace/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "Usage: oci-sandbox-tracer lock [--timeout SECONDS] FILE\n"
    "\n"
    "Lock FILE exclusively (flock), creating it if need be, print \"locked\", and hold the lock\n"
    "until standard input ends.\n"
    "\n"
    "  --timeout SECONDS  give up after this time; 0: at once if somebody holds the lock\n"
    "  --help             print this text\n";

/* Is the file still the one that stands there? Whoever held the lock may have removed it. */
static bool stands(const char *path, int fd) {
  struct stat ours, there;
  return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Returns 0 with the lock held, by a descriptor that stays open. */
static int take(const char *path, int64_t timeout) {
  for (;;) {
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0)
      return message_fail("cannot open %s: %s%s", path, strerror(errno),
                          errno == ELOOP ? " (a symbolic link is not followed)" : "");
    if (flock(fd, LOCK_EX | (timeout == 0 ? LOCK_NB : 0)) != 0) {
      if (errno == EINTR || errno == EWOULDBLOCK)
        return message_fail("%s is locked by another process (waited %lld s; see who holds it with lslocks)", path,
                            (long long)timeout);
      return message_fail("cannot lock %s: %s", path, strerror(errno));
    }
    if (stands(path, fd)) return 0;
    close(fd);
  }
}

static int hold(const char *path, int64_t timeout) {
  if (timeout > 0) wait_deadline((unsigned)timeout); /* its SIGALRM interrupts flock() */
  int status = take(path, timeout);
  if (status != 0) return status;
  wait_deadline(0);
  if (write(STDOUT_FILENO, "locked\n", 7) != 7) return message_fail("cannot write to stdout: %s", strerror(errno));
  char ignored[256];
  ssize_t got;
  while ((got = read(STDIN_FILENO, ignored, sizeof ignored)) > 0 || (got < 0 && errno == EINTR)) {
  }
  return 0;
}

int lock_command(int argc, char **argv) {
  static const struct option options[] = {OPTION_HELP, {"timeout", required_argument, NULL, 't'}, {0}};
  int64_t timeout = -1;
  uint64_t number;
  int option, status;
  opterr = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (option != 't') {
      if (!option_take(option, argv, help, NULL, &status)) return status;
      continue;
    }
    if (!option_number("--timeout", optarg, 0, 86400, &number)) return EXIT_USAGE;
    timeout = (int64_t)number;
  }
  if (optind + 1 != argc) return message_usage("expected one FILE");
  return hold(argv[optind], timeout);
}
