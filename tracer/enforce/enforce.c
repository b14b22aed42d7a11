/* enforce: options, and what is done before the hook returns. */
#include "enforce/enforce.h"

#include "base/daemon.h"
#include "base/journal.h"
#include "base/message.h"
#include "base/options.h"
#include "base/state.h"
#include "commands.h"
#include "ptrace/seize.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: oci-sandbox-tracer enforce {--pid PID | --state} --filter FILE [OPTION]...\n"
    "       oci-sandbox-tracer enforce --joining --pid PID --container-pid PID --filter FILE [OPTION]...\n"
    "\n"
    "Attach to a container's init from a prestart or createRuntime hook and see to it that its\n"
    "program starts under the filters; the runtime's own system calls are not filtered. Any\n"
    "doubt after the hook has returned ends in SIGKILL for the container.\n"
    "\n"
    "  --pid PID             the container's init process, as in the state that the hook gets\n"
    "  --state               take pid and id from the state that the runtime writes to standard input,\n"
    "                        for use as a hook without anything in between\n"
    "  --joining             --pid is no init but a process that is about to become `runc exec' or\n"
    "                        alike: the filters are for the program that it starts in a container\n"
    "  --container-pid PID   with --joining: the init process of that container\n"
    "  --filter FILE         a seccomp program: raw struct sock_filter[], little-endian, at most\n"
    "                        4096 instructions; up to 16 of them, installed in this order\n"
    "  --install early       install now, suspended until the program starts; needs\n"
    "                        CAP_SYS_ADMIN in the initial user namespace\n"
    "  --install exec        install when the program has been loaded; needs NO_NEW_PRIVS\n"
    "  --install present     install nothing: the runtime does; see that they are there when the\n"
    "                        program starts (without --filter: that some are)\n"
    "  --install within      install nothing: the runtime does, and compiles them itself; see when the\n"
    "                        program starts that they let no call pass which those of --filter refuse\n"
    "  --install auto        early if possible, else exec if --allow-no-new-privs (default)\n"
    "  --allow-no-new-privs  exec may set NO_NEW_PRIVS: setuid programs lose their power\n"
    "  --log                 log actions (SECCOMP_FILTER_FLAG_LOG)\n"
    "  --journal FILE        append JSON lines: a refusal, and what happened after the hook's return\n"
    "  --journal-level NAME  what to write there: error, warning, info (default) or debug\n"
    "  --container ID        the container's id, for the journal (default: that of --state)\n"
    "  --help                print this text\n";

#define JOURNAL_UNOPENED "cannot open the journal %s: %s; it must be a file that can be written to, or not be there"

static _Noreturn void refuse_attach(const struct enforce *enforce, const struct seize_failure *failure) {
  if (failure->tracer > 0)
    daemon_refuse("cannot attach to pid %d: its thread %d is traced by pid %d already (one tracer at a time)",
                  enforce->init, failure->tid, failure->tracer);
  daemon_refuse("cannot attach to pid %d: %s%s", enforce->init, strerror(failure->error),
                message_attach_hint(failure->error));
}

/* Did the attach fail because of PTRACE_O_SUSPEND_SECCOMP? EINVAL: CONFIG_CHECKPOINT_RESTORE is missing; EPERM: we have
   no CAP_SYS_ADMIN or a filter of our own (ptrace_setoptions checks, kernel/ptrace.c). Then not a thread is attached. */
static bool suspension_refused(const struct enforce *enforce, const struct seize_failure *failure) {
  return enforce->tasks.count == 0 && failure->tracer == 0 && (failure->error == EPERM || failure->error == EINVAL);
}

/* False: filters cannot be suspended here, but there is another way to go. */
static bool attach_suspending(struct enforce *enforce, bool last_resort) {
  struct seize_failure failure;
  if (seize_process(enforce->init, ENFORCE_OPTIONS | PTRACE_O_SUSPEND_SECCOMP, &enforce->tasks, &failure)) return true;
  if (!suspension_refused(enforce, &failure)) refuse_attach(enforce, &failure);
  if (!last_resort) return false;
  daemon_refuse("cannot suspend filters in pid %d: %s (early installation needs CAP_SYS_ADMIN in the initial user"
                " namespace, no seccomp filter on the hook itself and a kernel with CONFIG_CHECKPOINT_RESTORE; where"
                " NO_NEW_PRIVS may be set, --allow-no-new-privs permits the other way)",
                enforce->init, strerror(failure.error));
}

static bool try_early(struct enforce *enforce, bool last_resort) {
  int error;
  if (!attach_suspending(enforce, last_resort)) return false;
  const char *problem = install_early(enforce, &error);
  if (!problem) return true;
  if (error == EACCES && !last_resort) return false;
  daemon_refuse("cannot install filters in pid %d: %s: %s", enforce->init, problem, strerror(error));
}

static void attach_for_exec(struct enforce *enforce) {
  struct seize_failure failure;
  if (enforce->tasks.count > 0) return; /* attached by try_early() */
  if (!seize_process(enforce->init, ENFORCE_OPTIONS, &enforce->tasks, &failure)) refuse_attach(enforce, &failure);
}

/* The runtime's processes have what is suspended taken over from it, and nothing to suspend. */
static void run_joining(struct enforce *enforce, bool last_resort) {
  int error;
  const char *problem = join_begin(&enforce->join, &error);
  if (problem)
    daemon_refuse("cannot enforce in a process that pid %d starts in the container of pid %d: %s%s%s", enforce->join.runtime,
                  enforce->join.container, problem, error ? ": " : "", error ? strerror(error) : "");
  if (enforce->install == INSTALL_EXEC || !attach_suspending(enforce, last_resort)) {
    enforce->install = INSTALL_EXEC;
    attach_for_exec(enforce);
  }
  wait_deadline(0);
  daemon_ready();
  join_guard(enforce);
}

static void run(void *context) {
  struct enforce *enforce = context;
  /* If the runtime kills the hook the daemon's death must follow at once, and with it the container's. */
  if (!journal_open(enforce->journal, enforce->container, enforce->journal_level))
    daemon_refuse(JOURNAL_UNOPENED, enforce->journal, strerror(errno));
  if (!tasks_init(&enforce->tasks)) daemon_refuse("out of memory");
  wait_deadline(ENFORCE_PATIENCE);
  bool last_resort = enforce->install == INSTALL_EARLY || !enforce->allow_no_new_privs;
  if (enforce->join.runtime) {
    run_joining(enforce, last_resort);
    return;
  }
  if (install_by_runtime(enforce->install)) {
    attach_for_exec(enforce);
  } else if (enforce->install != INSTALL_EXEC && try_early(enforce, last_resort)) {
    enforce->install = INSTALL_EARLY;
    journal_write("installed", enforce->init, "%d filter(s), suspended until the program starts", enforce->count);
  } else {
    enforce->install = INSTALL_EXEC;
    attach_for_exec(enforce);
  }
  wait_deadline(0);
  daemon_ready();
  guard(enforce);
}

static bool parse_install(const char *text, enum install *install) {
  static const char *const names[] = {"auto", "early", "exec", "present", "within"};
  for (int i = 0; i < 5; i++) {
    if (strcmp(text, names[i]) == 0) {
      *install = (enum install)i;
      return true;
    }
  }
  message_usage("--install %s: expected auto, early, exec, present or within", text);
  return false;
}

static bool load(struct enforce *enforce, const char *const *paths) {
  for (int i = 0; i < enforce->count; i++) {
    if (!filter_load(&enforce->filters[i], paths[i])) return false;
  }
  return true;
}

static int journalled(const struct enforce *enforce, int status) {
  if (status != 0) journal_write("refused", enforce->init, "%s", message_last());
  return status;
}

static bool open_journal(const struct enforce *enforce) {
  if (journal_open(enforce->journal, enforce->container, enforce->journal_level)) return true;
  message_fail(JOURNAL_UNOPENED, enforce->journal, strerror(errno));
  return false;
}

static int start(struct enforce *enforce) {
  return filters_check(enforce->filters, enforce->count) ? daemon_start(run, enforce) : EXIT_FAILED;
}

int enforce_start(struct enforce *enforce) {
  return open_journal(enforce) ? journalled(enforce, start(enforce)) : EXIT_FAILED;
}

int enforce_command(int argc, char **argv) {
  static const struct option options[] = {
      OPTION_TARGET,
      OPTION_HELP,
      {"filter", required_argument, NULL, 'f'},
      {"install", required_argument, NULL, 'i'},
      {"allow-no-new-privs", no_argument, NULL, 'n'},
      {"log", no_argument, NULL, 'l'},
      {"journal", required_argument, NULL, 'j'},
      {"journal-level", required_argument, NULL, 'L'},
      {"container", required_argument, NULL, 'c'},
      {0},
  };
  static struct enforce enforce = {.journal_level = JOURNAL_INFO};
  static struct state state;
  const char *paths[FILTERS_MAX];
  struct option_target target = {0};
  int option, status;
  opterr = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    switch (option) {
      case 'f':
        if (enforce.count == FILTERS_MAX) return message_usage("more than %d --filter options", FILTERS_MAX);
        paths[enforce.count++] = optarg;
        break;
      case 'i':
        if (!parse_install(optarg, &enforce.install)) return EXIT_USAGE;
        break;
      case 'n':
        enforce.allow_no_new_privs = true;
        break;
      case 'l':
        enforce.log = true;
        break;
      case 'j':
        enforce.journal = optarg;
        break;
      case 'c':
        enforce.container = optarg;
        break;
      case 'L':
        if (!journal_parse_level(optarg, &enforce.journal_level))
          return message_usage("--journal-level %s: expected error, warning, info or debug", optarg);
        break;
      default:
        if (!option_take(option, argv, help, &target, &status)) return status;
    }
  }
  if (option_target_end(argc, argv, &target) != 0) return EXIT_USAGE;
  enforce.init = target.pid;
  enforce.join.container = target.container;
  if (target.joining) enforce.join.runtime = enforce.init;
  if (enforce.count == 0 && enforce.install != INSTALL_PRESENT) return message_usage("--filter is missing");
  bool known = !target.from_state || state_read(&state);
  if (target.from_state && known) enforce.init = state.pid;
  if (!enforce.container && state.id[0]) enforce.container = state.id;
  if (!open_journal(&enforce)) return EXIT_FAILED;
  return journalled(&enforce, known && load(&enforce, paths) ? start(&enforce) : EXIT_FAILED);
}
