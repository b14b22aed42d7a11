/* learn: options, and the start of the daemon. */
#include "learn/learn.h"

#include "base/daemon.h"
#include "base/message.h"
#include "base/options.h"
#include "base/procfs.h"
#include "base/state.h"
#include "commands.h"
#include "ebpf/ebpf.h"
#include "learn/filtered.h"
#include "learn/known.h"
#include "ptrace/seize.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  PREALLOCATE = 65536,
  PATIENCE = 1000, /* README.md, "ptrace-adaptive" */
};

static const char help[] =
    "Usage: oci-sandbox-tracer learn {--pid PID | --state} --output FILE [OPTION]...\n"
    "       oci-sandbox-tracer learn --joining --pid PID --container-pid PID --output FILE [OPTION]...\n"
    "\n"
    "Attach to a container's init from a prestart or createRuntime hook, return, and record\n"
    "from the start of its program on every system call of the container.\n"
    "\n"
    "  --pid PID            the container's init process, as in the state that the hook gets\n"
    "  --state              take pid from the state that the runtime writes to standard input\n"
    "  --joining            --pid is no init but a process that is about to become `runc exec' or alike:\n"
    "                       record the program that it starts in a container\n"
    "  --container-pid PID  with --joining: the init process of that container\n"
    "  --output FILE        the stream of JSON lines; must not exist\n"
    "  --backend NAME       how to watch: auto (default: the best that this kernel allows), ebpf,\n"
    "                       ptrace-syscall, ptrace-trace, ptrace-adaptive, ptrace-known\n"
    "  --known FILE         calls that need not be watched, as lines of ABI and number (x86_64 0)\n"
    "  --patience CALLS     ptrace-adaptive: calls without a new one before a filter (1000)\n"
    "  --allow-no-new-privs filters may set NO_NEW_PRIVS: setuid programs lose their power\n"
    "  --arguments LIST     record arguments as well: ABI:NUMBER:MASK,...; x86_64:41:7: of socket the first three\n"
    "  --paths LIST         record files, endpoints and programs as well: ABI:NUMBER:OPERANDS,... (README.md, \"learn: paths\")\n"
    "  --events BASE        write every call as a line, into BASE.0.ndjson, BASE.1.ndjson, ...; needs --signatures\n"
    "  --signatures FILE    names of calls and their arguments: ABI NUMBER ID NAME [LETTER NAME]...\n"
    "  --events-size BYTES  of a file before the next one is begun (8388608); 16 are kept\n"
    "  --container ID       the container's id in these lines\n"
    "  --run-id ID          put ID into the first line\n"
    "  --denied             look for calls that a filter denies from the start (ebpf; otherwise from the first filter on)\n"
    "  --most-tasks NUMBER  threads and processes at a time that ebpf has room for (16384)\n"
    "  --preallocate BYTES  reserve BYTES on disk at the start (65536; 0: nothing)\n"
    "  --help               print this text\n";

struct arguments {
  pid_t pid;
  pid_t joined; /* --container-pid; 0: none */
  const char *output;
  const char *run_id;
  enum learn_backend backend;
  struct filtered filtered;
  bool known; /* --known was given */
  const char *combinations; /* --arguments; NULL: none */
  const char *paths; /* --paths; NULL: none */
  const char *events, *container;
  uint64_t events_size;
  struct signatures *signatures;
  uint64_t preallocate;
  uint64_t most_tasks;
  bool denied;
};

static bool parse_backend(const char *text, enum learn_backend *backend) {
  for (size_t i = 0; i < LEARN_BACKENDS; i++) {
    if (strcmp(text, learn_backend_names[i]) != 0) continue;
    *backend = (enum learn_backend)i;
    return true;
  }
  message_usage("--backend %s: expected auto, ebpf, ptrace-syscall, ptrace-trace, ptrace-adaptive or ptrace-known", text);
  return false;
}

static void create_stream(struct learn *learn, const struct arguments *arguments) {
  const char *path = arguments->output;
  switch (stream_create(&learn->stream, path, arguments->preallocate)) {
    case STREAM_OK:
      return;
    case STREAM_CREATE:
      daemon_refuse("cannot create %s: %s%s", path, strerror(errno),
                    errno == EEXIST ? " (each run writes a file of its own)" : "");
    case STREAM_LOCK:
      daemon_refuse("cannot lock %s: %s", path, strerror(errno));
    case STREAM_ALLOCATE:
      daemon_refuse("cannot reserve %llu bytes for %s: %s (make room, or lower --preallocate)",
                    (unsigned long long)arguments->preallocate, path, strerror(errno));
  }
}

static void attach(struct learn *learn) {
  struct seize_failure failure;
  if (filtered_attach(learn, &failure)) return;
  if (failure.tracer > 0)
    daemon_refuse("cannot attach to pid %d: its thread %d is traced by pid %d already (one tracer at a time)",
                  learn->init, failure.tid, failure.tracer);
  daemon_refuse("cannot attach to pid %d: %s%s", learn->init, strerror(failure.error),
                message_attach_hint(failure.error));
}

static void look_at_joined(struct learn *learn, const struct arguments *arguments) {
  int error;
  if (arguments->joined == 0) return;
  learn->join.runtime = arguments->pid;
  learn->join.container = arguments->joined;
  const char *problem = join_begin(&learn->join, &error);
  if (problem)
    daemon_refuse("cannot learn what pid %d starts in the container of pid %d: %s%s%s", arguments->pid, arguments->joined,
                  problem, error ? ": " : "", error ? strerror(error) : "");
}

/* What was asked for, or the first that works. If eBPF should and does not, `reason` says why. */
static enum learn_backend choose_backend(struct learn *learn, const struct arguments *arguments, struct ebpf *ebpf,
                                         char *reason, size_t size) {
  const char *cannot = learn->join.runtime    ? "it does not follow a runtime to what that starts in a container"
                       : learn->events.wanted ? "it does not record events"
                                              : NULL;
  enum learn_backend other = arguments->known ? LEARN_PTRACE_KNOWN : LEARN_PTRACE_ADAPTIVE; /* the cheapest that loses nothing */
  if (arguments->backend != LEARN_AUTO && arguments->backend != LEARN_EBPF) return arguments->backend;
  if (arguments->backend == LEARN_AUTO && learn->events.wanted) return LEARN_PTRACE_SYSCALL;
  if (arguments->backend == LEARN_AUTO && cannot) return other;
  if (cannot) daemon_refuse("cannot learn with eBPF: %s (use --backend auto)", cannot);
  struct ebpf_options options = {.init = learn->init,
                                 .tasks = (uint32_t)arguments->most_tasks,
                                 .combinations = &learn->combinations,
                                 .paths = &learn->paths};
  if (ebpf_open(ebpf, &options, reason, size)) return LEARN_EBPF;
  if (arguments->backend == LEARN_EBPF)
    daemon_refuse("cannot learn with eBPF: %s (--backend auto then takes another way)", reason);
  return other;
}

static void run(void *context) {
  const struct arguments *arguments = context;
  static struct learn learn; /* large, and zero to begin with */
  static struct ebpf ebpf;
  char no_ebpf[256] = "";
  learn.init = arguments->pid;
  learn.record.stream = &learn.stream;
  learn.live = live_open();
  if (arguments->combinations && !combinations_parse(&learn.combinations, arguments->combinations))
    daemon_refuse("--arguments %s: expected ABI:NUMBER:MASK,... with numbers below %d and masks from 1 to 63",
                  arguments->combinations, COMBINATIONS_NUMBERS);
  if (arguments->paths && !paths_parse(&learn.paths, arguments->paths))
    daemon_refuse("--paths: expected ABI:NUMBER:OPERANDS,... with numbers below %d (README.md)", PATHS_NUMBERS);
  if (arguments->paths && !facts_init(&learn.paths.facts, &learn.stream)) daemon_refuse("out of memory");
  learn.events.wanted = arguments->events != NULL;
  learn.events.most = arguments->events_size;
  learn.events.signatures = arguments->signatures;
  learn.events.container = arguments->container ? arguments->container : "";
  if (!tasks_init(&learn.tasks)) daemon_refuse("out of memory");
  look_at_joined(&learn, arguments);
  learn.backend = choose_backend(&learn, arguments, &ebpf, no_ebpf, sizeof no_ebpf);
  learn.filtered = arguments->filtered;
  learn.filtered.automatic = arguments->backend == LEARN_AUTO;
  if (learn.backend != LEARN_PTRACE_ADAPTIVE) learn.filtered.patience = 0;
  /* Attach before the file is made: only then does a failure leave none behind. */
  attach(&learn);
  create_stream(&learn, arguments);
  if (arguments->events && !events_open(&learn.events, arguments->events)) {
    int error = errno;
    unlink(arguments->output);
    daemon_refuse("cannot create %s.0.ndjson: %s", arguments->events, strerror(error));
  }
  if (!learn_line_hello(&learn, arguments->run_id) || (*no_ebpf && !learn_line_no_ebpf(&learn, no_ebpf)) || !learn_line_attached(&learn)) {
    int error = errno;
    unlink(arguments->output);
    daemon_refuse("cannot write to %s: %s", arguments->output, strerror(error));
  }
  daemon_ready();
  if (learn.backend == LEARN_EBPF) learn_follow_ebpf(&learn, &ebpf, arguments->denied);
  else if (!learn.join.runtime || join_learn(&learn)) learn_follow(&learn);
  stream_sync(&learn.stream);
}

int learn_command(int argc, char **argv) {
  static const struct option options[] = {
      OPTION_TARGET,
      OPTION_HELP,
      {"output", required_argument, NULL, 'o'},
      {"backend", required_argument, NULL, 'b'},     {"known", required_argument, NULL, 'k'},
      {"patience", required_argument, NULL, 't'},    {"allow-no-new-privs", no_argument, NULL, 'n'},
      {"arguments", required_argument, NULL, 'g'},   {"paths", required_argument, NULL, 'f'},
      {"most-tasks", required_argument, NULL, 'm'}, {"denied", no_argument, NULL, 'd'},
      {"events", required_argument, NULL, 'e'},      {"signatures", required_argument, NULL, 'S'},
      {"container", required_argument, NULL, 'c'},   {"events-size", required_argument, NULL, 'z'},
      {"run-id", required_argument, NULL, 'r'},      {"preallocate", required_argument, NULL, 'a'},
      {0},
  };
  static struct arguments arguments = {.preallocate = PREALLOCATE, .filtered.patience = PATIENCE, .most_tasks = EBPF_TASKS, .events_size = EVENTS_FILE};
  static struct state state;
  static struct signatures signatures;
  struct option_target target = {0};
  int option, status;
  opterr = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    switch (option) {
      case 'o':
        arguments.output = optarg;
        break;
      case 'b':
        if (!parse_backend(optarg, &arguments.backend)) return EXIT_USAGE;
        break;
      case 'k':
        if (!known_load(&arguments.filtered.pass, optarg)) return EXIT_FAILED;
        arguments.known = true;
        break;
      case 't':
        if (!option_number("--patience", optarg, 0, UINT64_MAX, &arguments.filtered.patience)) return EXIT_USAGE;
        break;
      case 'n':
        arguments.filtered.allow_no_new_privs = true;
        break;
      case 'g':
        arguments.combinations = optarg;
        break;
      case 'e':
        arguments.events = optarg;
        break;
      case 'z':
        if (!option_number("--events-size", optarg, 4096, 1 << 30, &arguments.events_size)) return EXIT_USAGE;
        break;
      case 'S':
        arguments.signatures = &signatures;
        if (!signatures_load(&signatures, optarg)) return EXIT_FAILED;
        break;
      case 'c':
        arguments.container = optarg;
        break;
      case 'f':
        arguments.paths = optarg;
        break;
      case 'r':
        if (strlen(optarg) > 1024) return message_usage("--run-id is longer than 1024 bytes");
        arguments.run_id = optarg;
        break;
      case 'd':
        arguments.denied = true;
        break;
      case 'm':
        if (!option_number("--most-tasks", optarg, 2, 1 << 22, &arguments.most_tasks)) return EXIT_USAGE;
        break;
      case 'a':
        if (!option_number("--preallocate", optarg, 0, 1 << 30, &arguments.preallocate)) return EXIT_USAGE;
        break;
      default:
        if (!option_take(option, argv, help, &target, &status)) return status;
    }
  }
  if (option_target_end(argc, argv, &target) != 0) return EXIT_USAGE;
  if (!arguments.output || !*arguments.output) return message_usage("--output is missing");
  if (!arguments.events != !arguments.signatures) return message_usage("expected --events and --signatures together");
  if (arguments.events && arguments.backend > LEARN_PTRACE_SYSCALL)
    return message_usage("--events: each call must be seen: expected --backend auto or ptrace-syscall");
  if (arguments.backend == LEARN_PTRACE_KNOWN && !arguments.known) return message_usage("ptrace-known needs --known FILE");
  if (target.from_state && !state_read(&state)) return EXIT_FAILED;
  arguments.pid = target.from_state ? state.pid : target.pid;
  arguments.joined = target.container;
  return daemon_start(run, &arguments);
}
