#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

bool program_find(char path[PATH_MAX], struct stat *status) {
  static const char *const places[] = {"/oci-sandbox", "/../../bin/oci-sandbox"};
  char self[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0) return false;
  self[length] = 0;
  *strrchr(self, '/') = 0;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    if (snprintf(path, PATH_MAX, "%s%s", self, places[i]) < PATH_MAX && stat(path, status) == 0 && S_ISREG(status->st_mode))
      return true;
  }
  return false;
}

pid_t asking_fork(struct asking *asking, bool may_outlive) {
  /* Ignored, the kernel would reap the program, and nobody would know how it ended. */
  static const struct sigaction standard = {.sa_handler = SIG_DFL};
  int ends[2], errors[2] = {-1, -1};
  pid_t parent = getpid();
  sigaction(SIGCHLD, &standard, &asking->ends);
  if (pipe2(ends, O_CLOEXEC) != 0 || (may_outlive && pipe2(errors, O_CLOEXEC) != 0)) return -1;
  asking->child = fork();
  if (asking->child < 0) return -1;
  if (asking->child > 0) {
    close(ends[1]);
    if (may_outlive) close(errors[1]);
    asking->answers = ends[0];
    asking->errors = errors[0];
    return asking->child;
  }
  if (may_outlive) {
    if (dup2(errors[1], STDERR_FILENO) < 0) _exit(1);
  } else {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
  }
  if (dup2(ends[1], STDOUT_FILENO) < 0) _exit(1);
  return 0;
}

/* Hands on what it has said on standard error. False: that was all. */
static bool hand_on(const struct asking *asking) {
  char text[4096];
  ssize_t got = read(asking->errors, text, sizeof text);
  for (ssize_t at = 0, put; at < got; at += put) {
    if ((put = write(STDERR_FILENO, text + at, (size_t)(got - at))) <= 0) return false;
  }
  return got > 0 || (got < 0 && errno == EINTR);
}

ssize_t asking_read(const struct asking *asking, char *answer, size_t size) {
  struct pollfd waited[] = {{.fd = asking->answers, .events = POLLIN}, {.fd = asking->errors, .events = POLLIN}};
  ssize_t got;
  do {
    got = poll(waited, 2, -1);
    if (got > 0 && waited[1].revents && !hand_on(asking)) waited[1].fd = -1;
    if (got > 0) got = waited[0].revents ? read(asking->answers, answer, size) : -1;
    else if (got < 0 && errno != EINTR) return -1;
  } while (got < 0 && (errno == EINTR || !waited[0].revents));
  return got;
}

int asking_end(const struct asking *asking) {
  int status;
  close(asking->answers); /* whatever it still says: it shall not wait for us */
  if (asking->errors >= 0) {
    while (hand_on(asking)) continue;
  }
  while (waitpid(asking->child, &status, 0) < 0) {
    if (errno != EINTR) return 1;
  }
  sigaction(SIGCHLD, &asking->ends, NULL);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void asking_leave(const struct asking *asking) {
  struct pollfd said = {.fd = asking->errors, .events = POLLIN};
  close(asking->answers);
  while (poll(&said, 1, 0) > 0 && (said.revents & POLLIN) && hand_on(asking)) continue;
  close(asking->errors);
}
