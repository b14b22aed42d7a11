#include "base/daemon.h"

#include "base/message.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHANNEL = 3 }; /* the daemon's descriptor of the pipe */

/* A background process that keeps the hook's stdout or stderr open blocks the runtime, and any other inherited
   descriptor may keep a pipe or a mount of somebody else busy: keep none. */
static void settle(int channel) {
  setsid();
  umask(077);
  int null = open("/dev/null", O_RDWR);
  if (null < 0) _exit(EXIT_FAILED);
  int high = fcntl(channel, F_DUPFD, 10); /* out of the way of 0 to 3 */
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  dup2(high, CHANNEL);
  fcntl(CHANNEL, F_SETFD, FD_CLOEXEC);
  if (syscall(SYS_close_range, CHANNEL + 1, ~0U, 0) != 0) { /* Linux 5.9 */
    long most = sysconf(_SC_OPEN_MAX);
    for (int fd = CHANNEL + 1; fd < most; fd++) close(fd);
  }
  /* What was ignored stays ignored through an exec; with SIGCHLD ignored the kernel would reap children by itself. */
  sigset_t none;
  sigemptyset(&none);
  signal(SIGCHLD, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* a write past RLIMIT_FSIZE shall fail, not kill */
  sigprocmask(SIG_SETMASK, &none, NULL);
}

int daemon_start(void (*run)(void *context), void *context) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return message_fail("cannot make a pipe: %s", strerror(errno));
  pid_t daemon = fork();
  if (daemon < 0) return message_fail("cannot fork: %s", strerror(errno));
  if (daemon == 0) {
    settle(ends[1]);
    run(context);
    _exit(0);
  }
  close(ends[1]);

  char report[2048];
  size_t length = 0;
  ssize_t got;
  while (length < sizeof report - 1) {
    got = read(ends[0], report + length, sizeof report - 1 - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    length += (size_t)got;
    if (report[0] == '+') return 0;
  }
  report[length] = 0;
  /* Its end gives back locks and tracees: only then is the failure complete. */
  int status = 0;
  waitpid(daemon, &status, 0);
  if (report[0] == '!') return message_fail("%s", report + 1);
  return message_fail("the background process ended without a report (wait status %#x)", (unsigned)status);
}

void daemon_ready(void) {
  ssize_t written = write(CHANNEL, "+", 1); /* fails if the hook was killed: the container is then stopped by the runtime */
  (void)written;
  close(CHANNEL);
  if (chdir("/") != 0) { /* not worth a container */
  }
}

void daemon_refuse(const char *format, ...) {
  char report[2048] = "!";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(report + 1, sizeof report - 1, format, arguments);
  va_end(arguments);
  ssize_t written = write(CHANNEL, report, strlen(report));
  (void)written;
  _exit(EXIT_FAILED);
}
