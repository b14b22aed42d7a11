/* hook: what a runtime is pointed at for enforcement. It asks the hook in TypeScript what is to be done with a container, unless
   that has answered the same question before, and does it. */
#include "commands.h"
#include "decision.h"
#include "enforce.h"
#include "message.h"
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* src/decide/settings.ts has the same. */
#define DEFAULT_CONFIG "/etc/oci-sandbox/config.json"

static const char help[] =
    "Usage: oci-sandbox-tracer hook enforce [--config FILE]\n"
    "\n"
    "The enforce hook, for createRuntime or prestart, with the container's state on standard input:\n"
    "does what `oci-sandbox hook enforce' decides. It is not asked again about the same question, as\n"
    "long as nothing has changed that its decision depended on.\n"
    "\n"
    "  --config FILE  the host configuration (default: " DEFAULT_CONFIG ")\n"
    "  --help         print this text\n";

/* The program, from where we are: beside us, or in the bin directory beside our libexec directory (src/host/paths.ts). Never
   from the environment or the current directory. */
static bool find_program(char path[PATH_MAX], struct stat *status) {
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

struct input {
  char text[STATE_SIZE_MAX + 1];
  size_t length;
};

/* All of standard input. False with a message. */
static bool read_input(struct input *input) {
  while (input->length < sizeof input->text) {
    ssize_t got = read(STDIN_FILENO, input->text + input->length, sizeof input->text - input->length);
    if (got == 0) return true;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      message_fail("cannot read the container's state from standard input: %s", strerror(errno));
      return false;
    }
    input->length += (size_t)got;
  }
  message_fail("the container's state on standard input is longer than %d bytes", STATE_SIZE_MAX);
  return false;
}

/* Put back what was read: standard input becomes a file in memory. */
static bool unread_input(const struct input *input) {
  int fd = memfd_create("state", MFD_CLOEXEC);
  if (fd < 0 || write(fd, input->text, input->length) != (ssize_t)input->length || lseek(fd, 0, SEEK_SET) != 0) return false;
  return dup2(fd, STDIN_FILENO) == STDIN_FILENO;
}

/* Become the hook in TypeScript. Nothing of the environment reaches it: Bun and the dynamic loader would take it for theirs. */
static int become(const char *program, char *const *arguments, int count, char *option) {
  static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "BUN_JSC_useJIT=0", NULL};
  char **line = calloc((size_t)count + 5, sizeof *line);
  if (!line) return message_fail("out of memory");
  int at = 0;
  line[at++] = "oci-sandbox";
  line[at++] = "hook";
  for (int i = 0; i < count; i++) line[at++] = arguments[i];
  if (option) line[at++] = option;
  execve(program, line, environment);
  return message_fail("cannot execute %s: %s", program, strerror(errno));
}

/* The program, asked; its standard error is ours. */
struct asking {
  pid_t child;
  int answers; /* a pipe */
};

static bool start_asking(struct asking *asking, const char *program, char *const *arguments, int count) {
  int ends[2];
  pid_t parent = getpid();
  signal(SIGCHLD, SIG_DFL); /* ignored, the kernel would reap the program, and nobody would know how it ended */
  if (pipe2(ends, O_CLOEXEC) != 0 || (asking->child = fork()) < 0) return false;
  if (asking->child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(ends[1], STDOUT_FILENO) < 0) _exit(EXIT_FAILED);
    _exit(become(program, arguments, count, "--answer"));
  }
  close(ends[1]);
  asking->answers = ends[0];
  return true;
}

/* The answer is acted on as soon as it is whole: the program has things to put away, which need not be waited for. */
static void take_answer(const struct asking *asking, struct decision *decision) {
  static char answer[3 * PATH_MAX], copy[sizeof answer];
  size_t length = 0;
  ssize_t got;
  decision->kind = DECISION_UNKNOWN;
  while (decision->kind == DECISION_UNKNOWN && length < sizeof answer) {
    got = read(asking->answers, answer + length, sizeof answer - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    length += (size_t)got;
    decision_take(memcpy(copy, answer, length), length, decision);
  }
}

/* Its exit code, if it is one; it has then said what went wrong. */
static int end_asking(const struct asking *asking) {
  int status;
  close(asking->answers); /* whatever it still says: it shall not wait for us */
  while (waitpid(asking->child, &status, 0) < 0) {
    if (errno != EINTR) return EXIT_FAILED;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int enforce(const struct decision *decision, const struct question *question) {
  static struct enforce run;
  run = (struct enforce){
      .init = (pid_t)question->pid,
      .count = decision->count,
      .allow_no_new_privs = decision->allow_no_new_privs,
      .log = true,
      .journal = decision->journal,
      .container = question->id,
      .journal_level = decision->journal_level,
  };
  memcpy(run.filters, decision->filters, sizeof run.filters);
  message_command = "enforce";
  return enforce_start(&run);
}

/* What was decided about the same question before. */
static void recall(const char *config, const struct stat *program, const struct question *question, struct decision *decision) {
  struct asked asked = {
      .config = config ? config : DEFAULT_CONFIG,
      .config_given = config != NULL,
      .program = *program,
      .question = question,
  };
  decision->kind = DECISION_UNKNOWN;
  if (asked.config[0] == '/') decision_recall(&asked, decision);
  /* What the hook in TypeScript says where it stands at another stage, or where the state has no pid. */
  if (decision->kind == DECISION_ENFORCE && (!question->waiting || question->pid <= 1))
    decision->kind = DECISION_UNKNOWN;
}

/* enforce [--config FILE | --config=FILE], as hooks/main.ts reads it; false: that shall say what is wrong. */
static bool parse(int count, char *const *arguments, const char **config) {
  if (count < 1 || strcmp(arguments[0], "enforce") != 0) return false;
  *config = NULL;
  for (int i = 1; i < count; i++) {
    if (strncmp(arguments[i], "--config=", 9) == 0) *config = arguments[i] + 9;
    else if (strcmp(arguments[i], "--config") == 0 && i + 1 < count) *config = arguments[++i];
    else return false;
  }
  return true;
}

/* Returns the exit status. */
static int act(const struct decision *decision, const struct question *question) {
  return decision->kind == DECISION_PASS ? 0 : enforce(decision, question);
}

static int ask(const char *program, char *const *arguments, int count, const struct question *question) {
  static struct decision decision;
  struct asking asking;
  if (!start_asking(&asking, program, arguments, count)) return message_fail("cannot ask %s: %s", program, strerror(errno));
  take_answer(&asking, &decision);
  int done = decision.kind == DECISION_UNKNOWN ? 0 : act(&decision, question);
  int status = end_asking(&asking);
  if (status < 0) return message_fail("%s was ended by a signal", program);
  if (status != 0) return status;
  if (decision.kind != DECISION_UNKNOWN) return done;
  return message_fail("%s does not say what is to be done; install it again, unstripped", program);
}

int hook_command(int argc, char **argv) {
  static struct input input;
  static struct question question;
  static struct decision decision;
  char program[PATH_MAX];
  struct stat status;
  const char *config;
  if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) return option_help(help);
  if (!find_program(program, &status))
    return message_fail("the program oci-sandbox is neither beside this one nor in its bin directory, so nobody can decide"
                        " about the container; run make install");
  if (!parse(argc - 1, argv + 1, &config)) return become(program, argv + 1, argc - 1, NULL);
  if (!read_input(&input)) return EXIT_FAILED;
  bool clear = question_parse(input.text, input.length, &question) && question.pid <= PID_MOST;
  if (clear) recall(config, &status, &question, &decision);
  if (decision.kind != DECISION_UNKNOWN) return act(&decision, &question);
  if (!unread_input(&input)) return message_fail("cannot hand the container's state on: %s", strerror(errno));
  if (clear) return ask(program, argv + 1, argc - 1, &question);
  return become(program, argv + 1, argc - 1, NULL);
}
