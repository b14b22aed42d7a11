/* learn: options, the start of the daemon, and the lines of its stream except those about calls (record.c). */
#include "learn.h"

#include "commands.h"
#include "daemon.h"
#include "ebpf.h"
#include "filtered.h"
#include "known.h"
#include "message.h"
#include "options.h"
#include "procfs.h"
#include "seize.h"
#include "state.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
  PROTOCOL = 1,
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
  uint64_t preallocate;
  uint64_t most_tasks;
  bool denied;
};

/* By enum learn_backend; the record and the policy name them so. */
static const char *const backends[] = {"auto",         "ebpf",            "ptrace-syscall",
                                       "ptrace-trace", "ptrace-adaptive", "ptrace-known"};

static bool parse_backend(const char *text, enum learn_backend *backend) {
  for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
    if (strcmp(text, backends[i]) != 0) continue;
    *backend = (enum learn_backend)i;
    return true;
  }
  message_usage("--backend %s: expected auto, ebpf, ptrace-syscall, ptrace-trace, ptrace-adaptive or ptrace-known", text);
  return false;
}

void learn_line_exec(struct learn *learn) {
  char buffer[32768];
  struct text line = TEXT_ON(buffer);
  text_format(&line, "{\"event\":\"exec\",\"exe\":");
  text_json_string(&line, learn->exe);
  text_bytes(&line, "}", 1);
  stream_line(&learn->stream, &line);
}

void learn_line_program(struct learn *learn, const char *sha256) {
  char buffer[32768];
  struct text line = TEXT_ON(buffer);
  text_format(&line, "{\"event\":\"program\",\"exe\":");
  text_json_string(&line, learn->exe);
  text_format(&line, ",\"sha256\":\"%s\"}", sha256);
  stream_line(&learn->stream, &line);
}

/* Calls of one ABI that pass unseen from here on. */
void learn_line_known(struct learn *learn, int abi) {
  char buffer[8192];
  struct text line = TEXT_ON(buffer);
  const char *separator = "";
  text_format(&line, "{\"event\":\"known\",\"arch\":\"%s\",\"numbers\":[", arch_abi_names[abi]);
  for (int nr = 0; nr < ALLOW_NUMBERS; nr++) {
    if (!learn->filtered.pass.pass[abi][nr]) continue;
    text_format(&line, "%s%d", separator, nr);
    separator = ",";
  }
  text_bytes(&line, "]}", 2);
  if (*separator) stream_line(&learn->stream, &line);
}

void learn_line_warn(struct learn *learn, const char *code, pid_t tid) {
  char buffer[128];
  struct text line = TEXT_ON(buffer);
  text_format(&line, "{\"event\":\"warn\",\"code\":\"%s\",\"tid\":%d}", code, tid);
  stream_line(&learn->stream, &line);
}

static void add_exit(struct learn *learn, struct text *line) {
  if (!learn->init_ended || learn->init_end.kind == WAIT_STOPPED) text_format(line, "\"exit\":null");
  else if (learn->init_end.kind == WAIT_EXITED) text_format(line, "\"exit\":{\"code\":%d}", learn->init_end.code);
  else text_format(line, "\"exit\":{\"signal\":%d}", learn->init_end.signal);
}

void learn_line_init_exit(struct learn *learn, uint64_t tasks) {
  char buffer[256];
  struct text line = TEXT_ON(buffer);
  text_format(&line, "{\"event\":\"init-exit\",\"time\":");
  text_json_now(&line);
  text_bytes(&line, ",", 1);
  add_exit(learn, &line);
  text_format(&line, ",\"tasks\":%llu}", (unsigned long long)tasks);
  stream_line(&learn->stream, &line);
}

/* The backend as it turned out: without a filter, each call was seen. Calls that may have passed unseen were made at least as often as was
   counted. */
static void add_backend(const struct learn *learn, struct text *line) {
  bool as_said = learn->backend == LEARN_EBPF || learn->filtered.installed > 0;
  text_format(line, ",\"backend\":\"%s\"", backends[as_said ? learn->backend : LEARN_PTRACE_SYSCALL]);
  text_format(line, ",\"counts\":\"%s\",\"otherFilters\":%s", learn->filtered.passed ? "at-least" : "exact",
              learn->filtered.others ? "true" : "false");
}

void learn_line_finish(struct learn *learn, const char *reason) {
  char buffer[512];
  struct text line = TEXT_ON(buffer);
  const struct record *record = &learn->record;
  bool complete = strcmp(reason, "exited") == 0 && learn->recording && learn->init_ended && learn->escaped == 0 &&
                  learn->lost_tasks == 0 && record->lost == 0 && learn->stream.failed == 0 && !learn->filtered.others;
  text_format(&line, "{\"event\":\"finish\",\"ended\":");
  text_json_now(&line);
  text_bytes(&line, ",", 1);
  add_exit(learn, &line);
  text_format(&line, ",\"complete\":%s,\"reason\":\"%s\",\"calls\":%llu,\"distinct\":%llu,\"tasks\":%llu",
              complete ? "true" : "false", reason, (unsigned long long)record->calls,
              (unsigned long long)record->distinct, (unsigned long long)(learn->recording ? learn->born : 0));
  add_backend(learn, &line);
  text_format(&line, ",\"lost\":{\"tasks\":%llu,\"writes\":%llu,\"calls\":%llu}}",
              (unsigned long long)(learn->escaped + learn->lost_tasks), (unsigned long long)learn->stream.failed,
              (unsigned long long)record->lost);
  stream_line(&learn->stream, &line);
}

static bool line_hello(struct learn *learn, const struct arguments *arguments) {
  char buffer[8192], boot[64] = "";
  struct text line = TEXT_ON(buffer);
  struct utsname name;
  uname(&name);
  procfs_read("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
  text_format(&line, "{\"event\":\"hello\",\"protocol\":%d,\"version\":\"" TRACER_VERSION "\",\"runId\":", PROTOCOL);
  if (arguments->run_id) text_json_string(&line, arguments->run_id);
  else text_format(&line, "null");
  text_format(&line, ",\"backend\":\"%s\",\"detail\":\"%s\",\"kernel\":", backends[learn->backend],
              learn->combinations.wanted ? "args" : "names");
  text_json_string(&line, name.release);
  text_format(&line, ",\"machine\":");
  text_json_string(&line, name.machine);
  text_format(&line, ",\"pid\":%d,\"tracerPid\":%d,\"tracerStart\":%llu,\"bootId\":", learn->init, getpid(),
              (unsigned long long)procfs_own_start());
  text_json_string(&line, boot);
  if (learn->join.runtime) text_format(&line, ",\"joining\":%d", learn->join.container);
  text_format(&line, ",\"started\":");
  text_json_now(&line);
  text_bytes(&line, "}", 1);
  return stream_line(&learn->stream, &line);
}

static bool line_no_ebpf(struct learn *learn, const char *reason) {
  char buffer[1024];
  struct text line = TEXT_ON(buffer);
  text_format(&line, "{\"event\":\"warn\",\"code\":\"no-ebpf\",\"reason\":");
  text_json_string(&line, reason);
  text_bytes(&line, "}", 1);
  return stream_line(&learn->stream, &line);
}

static bool line_attached(struct learn *learn) {
  char buffer[64];
  struct text line = TEXT_ON(buffer);
  text_format(&line, "{\"event\":\"attached\",\"threads\":%zu}", learn->tasks.count);
  return stream_line(&learn->stream, &line);
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
  const char *cannot = learn->join.runtime           ? "it does not follow a runtime to what that starts in a container"
                       : learn->combinations.wanted ? "it does not record arguments"
                                                    : NULL;
  enum learn_backend other = arguments->known ? LEARN_PTRACE_KNOWN : LEARN_PTRACE_ADAPTIVE; /* the cheapest that loses nothing */
  if (arguments->backend != LEARN_AUTO && arguments->backend != LEARN_EBPF) return arguments->backend;
  if (arguments->backend == LEARN_AUTO && cannot) return other;
  if (cannot) daemon_refuse("cannot learn with eBPF: %s (use --backend auto)", cannot);
  if (ebpf_open(ebpf, learn->init, (uint32_t)arguments->most_tasks, reason, size)) return LEARN_EBPF;
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
  if (!tasks_init(&learn.tasks)) daemon_refuse("out of memory");
  look_at_joined(&learn, arguments);
  learn.backend = choose_backend(&learn, arguments, &ebpf, no_ebpf, sizeof no_ebpf);
  learn.filtered = arguments->filtered;
  learn.filtered.automatic = arguments->backend == LEARN_AUTO;
  if (learn.backend != LEARN_PTRACE_ADAPTIVE) learn.filtered.patience = 0;
  /* Attach before the file is made: only then does a failure leave none behind. */
  attach(&learn);
  create_stream(&learn, arguments);
  if (!line_hello(&learn, arguments) || (*no_ebpf && !line_no_ebpf(&learn, no_ebpf)) || !line_attached(&learn)) {
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
      {"pid", required_argument, NULL, 'p'},         {"output", required_argument, NULL, 'o'},
      {"backend", required_argument, NULL, 'b'},     {"known", required_argument, NULL, 'k'},
      {"patience", required_argument, NULL, 't'},    {"allow-no-new-privs", no_argument, NULL, 'n'},
      {"arguments", required_argument, NULL, 'g'},
      {"most-tasks", required_argument, NULL, 'm'}, {"denied", no_argument, NULL, 'd'},
      {"run-id", required_argument, NULL, 'r'},      {"preallocate", required_argument, NULL, 'a'},
      {"help", no_argument, NULL, 'h'},              {"state", no_argument, NULL, 's'},
      {"joining", no_argument, NULL, 'J'},           {"container-pid", required_argument, NULL, 'C'},
      {0},
  };
  static struct arguments arguments = {.preallocate = PREALLOCATE, .filtered.patience = PATIENCE, .most_tasks = EBPF_TASKS};
  static struct state state;
  bool from_state = false, joining = false;
  int option;
  opterr = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    switch (option) {
      case 'p':
        if (!option_pid("--pid", optarg, &arguments.pid)) return EXIT_USAGE;
        break;
      case 's':
        from_state = true;
        break;
      case 'J':
        joining = true;
        break;
      case 'C':
        if (!option_pid("--container-pid", optarg, &arguments.joined)) return EXIT_USAGE;
        break;
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
      case 'h':
        return option_help(help);
      default:
        return option_unknown(argv);
    }
  }
  if (optind < argc) return message_usage("unexpected argument %s", argv[optind]);
  if (from_state == (arguments.pid != 0)) return message_usage("expected one of --pid and --state");
  if (joining != (arguments.joined != 0) || (joining && from_state))
    return message_usage("expected --joining, --pid and --container-pid together, or none but --pid or --state");
  if (!arguments.output || !*arguments.output) return message_usage("--output is missing");
  if (arguments.backend == LEARN_PTRACE_KNOWN && !arguments.known) return message_usage("ptrace-known needs --known FILE");
  if (from_state && !state_read(&state)) return EXIT_FAILED;
  if (from_state) arguments.pid = state.pid;
  return daemon_start(run, &arguments);
}
