/* hook: what a runtime is pointed at for enforcement. It asks the program what is to be done with a container, unless that has answered the
   same question before, and does it. */
#include "base/message.h"
#include "base/options.h"
#include "commands.h"
#include "enforce/enforce.h"
#include "repeat/decision.h"
#include "repeat/precreate.h"
#include "repeat/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char help[] =
    "Usage: oci-sandbox-tracer hook enforce|precreate [--config FILE]\n"
    "\n"
    "hook enforce: the enforce hook, for createRuntime or prestart, with the container's state on\n"
    "standard input: does what `oci-sandbox hook enforce' decides.\n"
    "hook precreate: podman's, with the container's configuration on standard input: prints what\n"
    "`oci-sandbox hook precreate' makes of it.\n"
    "Neither is asked again about the same question, as long as nothing has changed that the decision\n"
    "depended on.\n"
    "\n"
    "  --config FILE  the host configuration (default: " DEFAULT_CONFIG ")\n"
    "  --help         print this text\n";

static const char ANSWER[] = "--answer";

struct input {
  char text[STATE_SIZE_MAX + 1];
  size_t length;
};

/* Standard input, as far as there is room for it. False with a message. */
static bool read_input(struct input *input) {
  while (input->length < sizeof input->text) {
    ssize_t got = read(STDIN_FILENO, input->text + input->length, sizeof input->text - input->length);
    if (got == 0) return true;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      message_fail("cannot read standard input: %s", strerror(errno));
      return false;
    }
    input->length += (size_t)got;
  }
  message_fail("what stands on standard input is longer than %d bytes", STATE_SIZE_MAX);
  return false;
}

/* Put back what was read: standard input becomes a file in memory. */
static bool unread_input(const struct input *input) {
  int fd = memfd_create("input", MFD_CLOEXEC);
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

/* The answer is acted on as soon as it is whole, while the program puts away what it has found out (asking_leave). */
static void take_answer(const struct asking *asking, struct decision *decision) {
  static char answer[5 * PATH_MAX], copy[sizeof answer]; /* src/enforce/remember.ts, MAX_TOLD */
  size_t length = 0;
  ssize_t got;
  decision->kind = DECISION_UNKNOWN;
  while (decision->kind == DECISION_UNKNOWN && length < sizeof answer) {
    if ((got = asking_read(asking, answer + length, sizeof answer - length)) <= 0) return;
    length += (size_t)got;
    decision_take(memcpy(copy, answer, length), length, decision);
  }
}

static int enforce(const struct decision *decision, const struct occasion *occasion) {
  static struct enforce run;
  run = (struct enforce){
      .init = (pid_t)occasion->pid,
      .count = decision->count,
      .allow_no_new_privs = decision->allow_no_new_privs,
      .log = true,
      .journal = decision->journal,
      .container = occasion->id,
      .journal_level = decision->journal_level,
  };
  memcpy(run.filters, decision->filters, sizeof run.filters);
  message_command = "enforce";
  return enforce_start(&run);
}

/* What this program itself adds: a hook that has it would tell what is to be done, and do nothing. */
static bool has_answer(int count, char *const *arguments) {
  for (int i = 0; i < count; i++) {
    if (strcmp(arguments[i], ANSWER) == 0) return true;
  }
  return false;
}

/* NAME [--config FILE | --config=FILE], as hooks/main.ts reads it; false: that shall say what is wrong. */
static bool parse(int count, char *const *arguments, const char **config) {
  *config = NULL;
  for (int i = 1; i < count; i++) {
    if (strncmp(arguments[i], "--config=", 9) == 0) *config = arguments[i] + 9;
    else if (strcmp(arguments[i], "--config") == 0 && i + 1 < count) *config = arguments[++i];
    else return false;
  }
  return true;
}

/* Returns the exit status. */
static int act(const struct decision *decision, const struct occasion *occasion) {
  return decision->kind == DECISION_PASS ? 0 : enforce(decision, occasion);
}

static int ask(const char *program, char *const *arguments, int count, const struct occasion *occasion) {
  static struct decision decision;
  struct asking asking;
  pid_t child = asking_fork(&asking);
  if (child < 0) return message_fail("cannot ask %s: %s", program, strerror(errno));
  if (child == 0) _exit(become(program, arguments, count, (char *)ANSWER));
  take_answer(&asking, &decision);
  if (decision.kind != DECISION_UNKNOWN) {
    int done = act(&decision, occasion);
    asking_leave(&asking);
    return done;
  }
  int status = asking_end(&asking);
  if (status < 0) return message_fail("%s was ended by a signal", program);
  if (status != 0) return status;
  return message_fail("%s does not say what is to be done; install it again, unstripped", program);
}

/* What was decided about the same question before. False: the program is to be asked. */
static bool recall(const struct asked *asked, const struct occasion *occasion, struct decision *decision) {
  decision_recall(asked, decision);
  /* What the hook in TypeScript says where it stands at another stage, or where the state has no pid. */
  if (decision->kind == DECISION_ENFORCE && (!occasion->waiting || occasion->pid <= 1)) return false;
  return decision->kind != DECISION_UNKNOWN;
}

int hook_command(int argc, char **argv) {
  static struct input input;
  static struct question question;
  static struct occasion occasion;
  static struct decision decision;
  char program[PATH_MAX];
  struct asked asked = {.question = &question};
  if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) return option_help(help);
  if (has_answer(argc - 1, argv + 1)) return message_usage("%s is not for hooks: nothing would be done", ANSWER);
  if (!program_find(program, &asked.program))
    return message_fail("the program oci-sandbox is neither beside this one nor in its bin directory, so nobody can decide"
                        " about the container; run make install");
  char *const *arguments = argv + 1;
  int count = argc - 1;
  bool creates = count > 0 && strcmp(arguments[0], "precreate") == 0;
  bool enforces = count > 0 && strcmp(arguments[0], "enforce") == 0;
  if (!(creates || enforces) || !parse(count, arguments, &asked.config)) return become(program, arguments, count, NULL);
  if (!read_input(&input)) return EXIT_FAILED;
  if (creates && precreate(&asked, &question, input.text, input.length)) return 0;
  bool clear = enforces && question_parse(input.text, input.length, &question, &occasion) && occasion.pid <= PID_MOST;
  if (clear && recall(&asked, &occasion, &decision)) return act(&decision, &occasion);
  if (!unread_input(&input)) return message_fail("cannot hand standard input on: %s", strerror(errno));
  if (clear) return ask(program, arguments, count, &occasion);
  return become(program, arguments, count, NULL);
}
