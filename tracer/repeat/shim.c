/* oci-sandbox-runtime, on its way to the real runtime. It repeats what the program has decided about the same question, or
   asks it. It is the process that the engine has started, and that the runtime will be: it leaves nothing behind. */
#include "base/journal.h"
#include "base/message.h"
#include "base/procfs.h"
#include "commands.h"
#include "repeat/annotations.h"
#include "repeat/bundle.h"
#include "repeat/container.h"
#include "repeat/decision.h"
#include "repeat/program.h"
#include "repeat/runtime_options.h"
#include "repeat/shim_line.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ADDED_SIZE_MAX = 1 << 17, EXIT_REPORTED = 3 /* src/shim/main.ts */ };

extern char **environ;

/* The real runtime, as src/shim/runtime.ts finds it. False: the program shall say what is wrong. */
static bool find_runtime(const char *name, char path[PATH_MAX]) {
  static const char *const self[] = {"", NULL};
  struct stat status;
  char real[PATH_MAX];
  bool found = false;
  for (const char *const *directory = name[0] == '/' ? self : runtime_directories; *directory && !found; directory++) {
    int length = snprintf(path, PATH_MAX, "%s%s%s", *directory, name[0] == '/' ? "" : "/", name);
    found = length < PATH_MAX && access(path, X_OK) == 0 && stat(path, &status) == 0 && S_ISREG(status.st_mode);
  }
  if (!found || !realpath(path, real)) return false;
  const char *file = strrchr(real, '/') + 1;
  return strcmp(file, SHIM_NAME) != 0 && strcmp(file, HELPER_NAME) != 0;
}

/* Become the runtime, with another bundle or with the one that was given. Returns only where that cannot be, and then the program shall say so. */
static void become(const char *runtime, const struct shim_line *line, char *bundle) {
  char **arguments = calloc((size_t)(line->global_count + line->rest_count) + 5, sizeof *arguments);
  char *const *rest = bundle ? line->others : line->rest;
  int at = 0, count = bundle ? line->other_count : line->rest_count;
  if (!arguments) return;
  arguments[at++] = (char *)runtime;
  for (int i = 0; i < line->global_count; i++) arguments[at++] = line->globals[i];
  arguments[at++] = line->subcommand;
  if (bundle) {
    arguments[at++] = "--bundle";
    arguments[at++] = bundle;
  }
  for (int i = 0; i < count; i++) arguments[at++] = rest[i];
  execve(runtime, arguments, environ);
}

/* The command line and what stands in the container's configuration, as one question. `added' is the first annotation that does not stand there. */
static bool make_question(struct question *question, struct bundle *bundle, const struct shim_line *line, size_t *added) {
  const char *const own[][2] = {
      {ANNOTATION_PREFIX "mode", line->mode}, {ANNOTATION_PREFIX "policy", line->policy}, {ANNOTATION_PREFIX "action", line->action}};
  static struct annotations sorted;
  *added = bundle->annotations.count;
  if (!bundle_add_image(bundle)) return false;
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    const char *there = own[i][1] ? annotations_find(&bundle->annotations, own[i][0]) : NULL;
    if (there && strcmp(there, own[i][1]) != 0) return false;
    if (own[i][1] && !there && !annotations_add(&bundle->annotations, own[i][0], own[i][1])) return false;
  }
  char subject[64];
  snprintf(subject, sizeof subject, "shim%s%s", bundle->seccomp ? " seccomp" : "",
           bundle->no_new_privileges ? " noNewPrivileges" : "");
  sorted = bundle->annotations;
  return question_write(question, subject, &sorted);
}

/* A template with the container's key in the place of any. NULL: no memory. */
static char *fill_in(const char *template, const struct container *container) {
  char *text = strdup(template);
  for (char *at = text; at && (at = strstr(at, CONTAINER_ANY)); at += sizeof CONTAINER_ANY - 1)
    memcpy(at, container->key, sizeof CONTAINER_ANY - 1);
  return text;
}

/* Prepare an enforced container. The path of the bundle for the runtime, or NULL: nothing is left of it. */
static char *prepare(struct container *container, struct bundle *bundle, size_t added, const char *config,
                     const struct decision *decision) {
  static char root[PATH_MAX], path[PATH_MAX + sizeof "/bundle"];
  size_t size = bundle->strict.json.length + ADDED_SIZE_MAX;
  struct text output = {.data = malloc(size), .size = size};
  if (!output.data || (bundle->root && !bundle_path(bundle->root, container->bundle, root))) return NULL;
  bool needed;
  if (!decision->start_hook || !decision->end_hook || !program_names_us(decision->start_hook)) return NULL;
  if (!bundle_needs_hook(bundle, config, &needed)) return NULL;
  /* The two hooks would be in each other's way. */
  if (decision->crun_program && !needed) return NULL;
  if (decision->crun_program && !annotations_add(&bundle->annotations, CRUN_PROGRAM, decision->crun_program)) return NULL;
  if (!container_claim(container)) return NULL;
  struct bundle_change change = {
      .annotations = added,
      .start_hook = needed ? fill_in(decision->start_hook, container) : NULL,
      .end_hook = fill_in(decision->end_hook, container),
      .root = bundle->root ? root : NULL,
  };
  snprintf(path, sizeof path, "%s/bundle", container->directory);
  if ((change.start_hook || !needed) && change.end_hook && bundle_write(bundle, &change, &output) &&
      container_fill(container, decision->filters, decision->count, output.data, output.length)) {
    if (decision->note && journal_open(decision->journal, container->id, decision->journal_level))
      journal_write("runtime-calls", getpid(), "%s", decision->note);
    return path;
  }
  container_remove(container->directory);
  return NULL;
}

/* create and run. Returns where the program is to be asked. */
static void create(struct asked *asked, struct question *question, struct decision *decision, const struct shim_line *line) {
  static struct bundle bundle;
  static char directory[PATH_MAX], root[PATH_MAX], current[PATH_MAX], runtime[PATH_MAX];
  char path[PATH_MAX + sizeof "/config.json"];
  size_t length, added;
  if (!getcwd(current, sizeof current) || !bundle_path(line->bundle, current, directory)) return;
  if (line->root && !bundle_path(line->root, current, root)) return;
  snprintf(path, sizeof path, "%s/config.json", directory);
  char *text = bundle_read(path, &length);
  if (!text || !bundle_parse(&bundle, text, length) || !make_question(question, &bundle, line, &added)) return;
  decision_recall(asked, decision);
  if (decision->kind == DECISION_UNKNOWN || !decision->runtime || !find_runtime(decision->runtime, runtime)) return;
  /* What was decided about one runtime says nothing about another one of that name. */
  if (decision->rests_on && strcmp(decision->rests_on, runtime) != 0) return;
  struct container container = {
      .id = line->id,
      .root = line->root ? root : NULL,
      .runtime = runtime,
      .bundle = directory,
      .policy = decision->policy,
      .method = decision->crun_program ? "crun-bpf" : "exec",
  };
  if (decision->kind == DECISION_PASS) return become(runtime, line, NULL);
  /* Without the right to trace another way is taken, which the program knows. */
  char *shadow = procfs_capable(0, CAP_SYS_PTRACE) ? prepare(&container, &bundle, added, line->config, decision) : NULL;
  if (!shadow) return;
  become(runtime, line, shadow);
  container_remove(container.directory);
}

static void pass(struct asked *asked, struct question *question, struct decision *decision, const struct shim_line *line) {
  static struct annotations none;
  char runtime[PATH_MAX];
  if (!question_write(question, "runtime", &none)) return;
  decision_recall(asked, decision);
  if (decision->kind == DECISION_PASS && decision->runtime && find_runtime(decision->runtime, runtime)) become(runtime, line, NULL);
}

/* The error of a program that says nothing itself: where people and engines look for errors. */
static int fail(const char *log, const char *problem) {
  char line[PATH_MAX];
  int length = snprintf(line, sizeof line,
                        "oci-sandbox: the program oci-sandbox did not do its work (%s), so nothing is started; install it again,"
                        " unstripped [INTERNAL]\n",
                        problem);
  dprintf(STDERR_FILENO, "%s", line);
  int fd = log ? open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;
  if (fd >= 0) dprintf(fd, "{\"level\":\"error\",\"msg\":\"%.*s\"}\n", length - 1, line);
  return EXIT_FAILED;
}

static void run_program(const char *program, int argc, char **argv) {
  static char jit[] = "BUN_JSC_useJIT=0";
  char pid[16];
  int count = 0, null = open("/dev/null", O_RDONLY);
  while (environ[count]) count++;
  char **environment = calloc((size_t)count + 2, sizeof *environment);
  char **arguments = calloc((size_t)argc + 4, sizeof *arguments);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0 || !environment || !arguments) _exit(EXIT_FAILED);
  if (null > STDERR_FILENO) close(null);
  *environment = jit; /* the first one counts */
  memcpy(environment + 1, environ, (size_t)count * sizeof *environment);
  snprintf(pid, sizeof pid, "%d", getppid());
  arguments[0] = "oci-sandbox";
  arguments[1] = "shim";
  arguments[2] = pid;
  memcpy(arguments + 3, argv, (size_t)argc * sizeof *arguments);
  execve(program, arguments, environment);
  _exit(127);
}

/* The program's answer: how many arguments, and each of them, all ending with a NUL; the first is the runtime's path. NULL: it is none. */
static char **take_plan(char *answer, size_t length) {
  char *end = answer + length, *rest;
  if (length == 0 || end[-1]) return NULL;
  unsigned long count = strtoul(answer, &rest, 10);
  if (rest == answer || *rest || count == 0 || count > length) return NULL;
  char **plan = calloc(count + 1, sizeof *plan);
  for (unsigned long i = 0; plan && i < count; i++) {
    rest += strlen(rest) + 1;
    if (rest >= end) return NULL;
    plan[i] = rest;
  }
  return plan && rest + strlen(rest) + 1 == end ? plan : NULL;
}

/* All that the program says, in memory that stays. NULL: there is no memory. */
static char *read_answer(const struct asking *asking, size_t *length) {
  size_t size = 1 << 16;
  char *answer = malloc(size);
  ssize_t got;
  for (*length = 0; answer; *length += (size_t)got) {
    if (*length == size) answer = realloc(answer, size *= 2);
    if (!answer || (got = asking_read(asking, answer + *length, size - *length)) <= 0) break;
  }
  return answer;
}

static int ask(const char *program, int argc, char **argv, const char *log) {
  struct asking asking;
  char problem[64];
  size_t length;
  pid_t child = asking_fork(&asking);
  if (child < 0) return fail(log, strerror(errno));
  if (child == 0) run_program(program, argc, argv);
  char *answer = read_answer(&asking, &length);
  int code = asking_end(&asking);
  if (code == EXIT_REPORTED) return EXIT_FAILED;
  char **plan = code == 0 && answer ? take_plan(answer, length) : NULL;
  if (plan) {
    execve(plan[0], plan, environ);
    snprintf(problem, sizeof problem, "its runtime: %s", strerror(errno));
  } else if (code < 0) {
    snprintf(problem, sizeof problem, "ended by a signal");
  } else {
    snprintf(problem, sizeof problem, "exit code %d", code);
  }
  return fail(log, problem);
}

int shim_command(int argc, char **argv) {
  static struct question question;
  static struct decision decision;
  struct asked asked = {.question = &question};
  struct shim_line line;
  char program[PATH_MAX];
  enum shim_kind kind = shim_read(&line, argc - 1, argv + 1);
  if (!program_find(program, &asked.program)) return fail(line.log, "it is not there");
  asked.config = line.config;
  if (kind == SHIM_PASSES) pass(&asked, &question, &decision, &line);
  if (kind == SHIM_CREATES) create(&asked, &question, &decision, &line);
  return ask(program, argc - 1, argv + 1, line.log);
}
