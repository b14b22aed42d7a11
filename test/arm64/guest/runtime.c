/* As little of a container runtime as the tracer needs:
     runtime OPTIONS PROGRAM [ARGUMENT]... -- TRACER [ARGUMENT]...
   A process in a pid namespace of its own waits while TRACER runs as its hook (PID in its arguments: that process), then executes PROGRAM, whose standard
   input is a pipe that ends when all options are done. Printed is what PROGRAM prints, "hook N" if the hook fails, at last "exit N" or
   "signal N", and then, when the tracer has ended too, the file /tmp/output, if there is one, which is removed.
     n  PR_SET_NO_NEW_PRIVS before PROGRAM
     k  kill -9 the tracer when the hook has returned
     K  kill -9 the tracer when PROGRAM has printed a line
     r  readback of the process when PROGRAM has printed a line
     s  the process waits in nanosleep, instead of in read
     v  it has no vDSO
     f  it loads a filter that allows everything, as for linux.seccomp: then it calls dup3 twice, close_range and execve
     S  the hook gets the OCI state on standard input
     -  none of them */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *options;
static char **program;
static int go[2], input[2], output[2];

static int has(char option) { return strchr(options, option) != NULL; }

static void fail(const char *what) {
  perror(what);
  exit(126);
}

static void unmap_vdso(void) {
  char line[256];
  unsigned long from, to;
  FILE *maps = fopen("/proc/self/maps", "re");
  while (maps && fgets(line, sizeof line, maps)) {
    if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", &from, &to) == 2 && munmap((void *)from, to - from) == 0) return;
  }
  _exit(123);
}

/* A sleep must take its time, whatever interrupts it. */
static void sleep_until_released(void) {
  const struct timespec moment = {0, 300000000};
  char byte;
  fcntl(go[0], F_SETFL, O_NONBLOCK);
  do {
    struct timespec start, end;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &start); /* not by the vDSO */
    if (nanosleep(&moment, NULL) != 0) _exit(122);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &end);
    if ((end.tv_sec - start.tv_sec) * 1000000000L + end.tv_nsec - start.tv_nsec < moment.tv_nsec) _exit(121);
  } while (read(go[0], &byte, 1) != 1);
}

/* Does the process sleep in that call? */
static int is_in(pid_t pid, long nr) {
  char path[64];
  long found = -1;
  snprintf(path, sizeof path, "/proc/%d/syscall", pid);
  FILE *file = fopen(path, "re");
  if (file && fscanf(file, "%ld", &found) != 1) found = -1;
  if (file) fclose(file);
  return found == nr;
}

static void load_filter(void) {
  struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog filter = {1, allow};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) _exit(120);
}

static _Noreturn void init(void) {
  char byte;
  close(go[1]);
  if (has('v')) unmap_vdso();
  if (has('s')) sleep_until_released();
  else if (read(go[0], &byte, 1) != 1) _exit(125);
  if (has('n') && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(124);
  if (has('f')) load_filter();
  dup2(input[0], 0);
  dup2(output[1], 1);
  closefrom(3);
  execv(program[0], program);
  _exit(127);
}

static void give_state(pid_t pid) {
  char state[128];
  int ends[2], length = snprintf(state, sizeof state, "{\"ociVersion\":\"1.0.2\",\"id\":\"arm\",\"status\":\"creating\",\"pid\":%d}", pid);
  if (pipe2(ends, O_CLOEXEC) || write(ends[1], state, (size_t)length) != length) _exit(119);
  dup2(ends[0], 0);
}

static int run(char **words, pid_t pid) {
  char number[16];
  int status;
  snprintf(number, sizeof number, "%d", pid);
  for (char **word = words; *word; word++) {
    if (strcmp(*word, "PID") == 0) *word = number;
  }
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 2; i++) close(go[i]), close(input[i]), close(output[i]);
    if (has('S')) give_state(pid);
    execv(words[0], words);
    _exit(127);
  }
  return waitpid(child, &status, 0) == child ? status : -1;
}

static void kill_tracer_of(pid_t pid) {
  char path[64], line[256];
  int tracer = 0;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file)) sscanf(line, "TracerPid: %d", &tracer);
  if (file) fclose(file);
  printf("killed %d\n", tracer > 1 && kill(tracer, SIGKILL) == 0);
}

/* Pass on what the program prints, the first line by itself. */
static void pass_on(int first_line) {
  char byte;
  while (read(output[0], &byte, 1) == 1) {
    putchar(byte);
    if (first_line && byte == '\n') return;
  }
}

static void print_output(void) {
  char buffer[4096];
  size_t got;
  FILE *file = fopen("/tmp/output", "re");
  while (file && (got = fread(buffer, 1, sizeof buffer, file)) > 0) fwrite(buffer, 1, got, stdout);
  if (file) fclose(file);
  unlink("/tmp/output");
}

int main(int argc, char **argv) {
  int end = 3, status;
  while (end < argc && strcmp(argv[end], "--") != 0) end++;
  if (end >= argc - 1) fail("usage");
  argv[end] = NULL;
  options = argv[1];
  program = argv + 2;
  signal(SIGPIPE, SIG_IGN);
  if (pipe2(go, O_CLOEXEC) || pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC)) fail("pipe2");
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* the tracer becomes a child of ours */
  pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
  if (pid < 0) fail("clone");
  if (pid == 0) init();
  close(input[0]);
  close(output[1]);
  while (!is_in(pid, has('s') ? SYS_clock_nanosleep : SYS_read)) sched_yield();
  status = run(argv + end + 1, pid);
  if (status != 0) {
    printf("hook %d\n", WEXITSTATUS(status));
    kill(pid, SIGKILL);
  }
  if (has('k')) kill_tracer_of(pid);
  if (write(go[1], "", 1) != 1) perror("write");
  if (has('K') || has('r')) pass_on(1);
  if (has('K')) kill_tracer_of(pid);
  char *readback[] = {"/bin/tracer", "readback", "--pid", "PID", NULL};
  if (has('r') && run(readback, pid) != 0) printf("no readback\n");
  close(input[1]);
  pass_on(0);
  if (waitpid(pid, &status, 0) != pid) fail("waitpid");
  while (waitpid(-1, NULL, 0) > 0) { /* the tracer ends */
  }
  if (WIFEXITED(status)) printf("exit %d\n", WEXITSTATUS(status));
  else printf("signal %d\n", WTERMSIG(status));
  print_output();
  return 0;
}
