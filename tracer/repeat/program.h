/* The program oci-sandbox, which decides. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Find it from where we are: beside us, or in the bin directory beside our libexec directory (src/host/paths.ts). Never from the environment
   or the current directory. False: it is not there. */
bool program_find(char path[PATH_MAX], struct stat *status);

/* The program as a child that answers on its standard output. */
struct asking {
  pid_t child;
  int answers; /* a pipe */
  struct sigaction ends; /* what SIGCHLD did before */
};

/* As fork(2): 0 in the child, which is to become the program and ends with us; -1 with errno. */
pid_t asking_fork(struct asking *asking);

/* Read what is there of the answer, once it is some. 0: that was all. -1 with errno. */
ssize_t asking_read(const struct asking *asking, char *answer, size_t size);

/* Wait for its end. Returns its exit code, or -1 where it was ended by a signal. */
int asking_end(const struct asking *asking);

/* Wait until it has nothing more to say, and has closed its standard output: what it would do after that, it need not do, so it is ended.
   Never left to itself: who started us may get its end for ours (crun 1.8.1 loses one of two SIGCHLD, and waits until the hook's timeout),
   and may not reap it. */
void asking_leave(const struct asking *asking);


/* Does a hook, as the program has written it down, name this very helper? Not where it has been moved since. */
bool program_names_us(const char *hook);

#endif
