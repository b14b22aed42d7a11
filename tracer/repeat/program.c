#include "repeat/program.h"

#include "base/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

bool program_find(char path[PATH_MAX], struct stat *status) {
  static const char *const places[] = {"/oci-sandbox", "/../../bin/oci-sandbox"};
  char self[PATH_MAX];
  if (!procfs_exe(0, self, sizeof self)) return false;
  *strrchr(self, '/') = 0;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    if (snprintf(path, PATH_MAX, "%s%s", self, places[i]) < PATH_MAX && stat(path, status) == 0 && S_ISREG(status->st_mode))
      return true;
  }
  return false;
}

bool program_names_us(const char *hook) {
  static const char head[] = "{\"path\":\"";
  char self[PATH_MAX];
  size_t length = sizeof head - 1;
  if (strncmp(hook, head, length) != 0 || !procfs_exe(0, self, sizeof self)) return false;
  size_t size = strlen(self);
  return strncmp(hook + length, self, size) == 0 && hook[length + size] == '"';
}

pid_t asking_fork(struct asking *asking) {
  /* Ignored, the kernel would reap the program, and nobody would know how it ended. */
  static const struct sigaction standard = {.sa_handler = SIG_DFL};
  int ends[2];
  pid_t parent = getpid();
  sigaction(SIGCHLD, &standard, &asking->ends);
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  asking->child = fork();
  if (asking->child < 0) return -1;
  if (asking->child > 0) {
    close(ends[1]);
    asking->answers = ends[0];
    return asking->child;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent || dup2(ends[1], STDOUT_FILENO) < 0) _exit(1);
  return 0;
}

ssize_t asking_read(const struct asking *asking, char *answer, size_t size) {
  ssize_t got;
  do got = read(asking->answers, answer, size);
  while (got < 0 && errno == EINTR);
  return got;
}

/* The status of wait(2). */
static int reap(const struct asking *asking) {
  int status;
  while (waitpid(asking->child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  sigaction(SIGCHLD, &asking->ends, NULL);
  return status;
}

int asking_end(const struct asking *asking) {
  close(asking->answers); /* whatever it still says: it shall not wait for us */
  int status = reap(asking);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void asking_leave(const struct asking *asking) {
  char rest[256];
  while (asking_read(asking, rest, sizeof rest) > 0) continue;
  close(asking->answers);
  kill(asking->child, SIGKILL);
  reap(asking);
}
