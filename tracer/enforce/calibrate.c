/* calibrate: which calls does a runtime make itself, between its loading of linux.seccomp and the program's execve? */
#include "base/daemon.h"
#include "base/kernel.h"
#include "base/message.h"
#include "base/options.h"
#include "base/procfs.h"
#include "base/state.h"
#include "commands.h"
#include "learn/record.h"
#include "ptrace/seize.h"
#include "ptrace/wait.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

static const char help[] =
    "Usage: oci-sandbox-tracer calibrate --state --output FILE\n"
    "\n"
    "As a createRuntime or prestart hook of a container that has linux.seccomp: record the calls that the\n"
    "runtime's own threads make under that filter, up to and with the execve of the program.\n"
    "\n"
    "  --state        take the pid from the state that the runtime writes to standard input\n"
    "  --output FILE  the record, which must not exist\n"
    "  --help         print this text\n";

enum {
  PATIENCE = 30, /* seconds until the program must have started */
  OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC,
};

struct calibrate {
  pid_t init;
  const char *output;
  struct stream stream;
  struct record record;
  struct tasks tasks;
  int64_t before; /* filters that the runtime's init had already */
  bool asked;     /* a task has asked for a filter */
  bool all;       /* ... for all threads of its process */
};

static int64_t filters_of(pid_t tid) {
  int64_t count = procfs_status_number(tid, "Seccomp_filters"); /* Linux 5.9 */
  return count >= 0 ? count : procfs_status_number(tid, "Seccomp");
}

/* A filter holds the thread that loads it, and its children; only with SECCOMP_FILTER_FLAG_TSYNC the others too. Then what they enter
   while it is being loaded counts as well: whether they meet the filter is chance. Libraries try the flag out without a program. */
static void on_entry(struct calibrate *calibrate, pid_t tid, const struct kernel_syscall_info *info) {
  struct arch_call call;
  if (!arch_decode(info->arch, info->entry.nr, &call)) {
    calibrate->record.lost++;
    return;
  }
  if (calibrate->all || (calibrate->asked && filters_of(tid) > calibrate->before)) record_call(&calibrate->record, &call);
  if (!arch_sets_filter(&call, info->entry.args[0])) return;
  calibrate->asked = true;
  if (info->entry.args[0] == SECCOMP_SET_MODE_FILTER && (info->entry.args[1] & SECCOMP_FILTER_FLAG_TSYNC) &&
      info->entry.args[2] != 0)
    calibrate->all = true;
}

static void finish(struct calibrate *calibrate, const char *reason) {
  char buffer[256];
  struct text line = TEXT_ON(buffer);
  record_finish(&calibrate->record);
  text_format(&line, "{\"event\":\"finish\",\"reason\":\"%s\",\"calls\":%llu,\"distinct\":%llu,\"lost\":%llu}", reason,
              (unsigned long long)calibrate->record.calls, (unsigned long long)calibrate->record.distinct,
              (unsigned long long)(calibrate->record.lost + calibrate->stream.failed));
  stream_line(&calibrate->stream, &line);
}

/* False: there is nothing more to see. */
static bool on_stop(struct calibrate *calibrate, const struct wait_report *report) {
  struct kernel_syscall_info info;
  if (report->event == PTRACE_EVENT_EXEC && report->tid == calibrate->init) {
    finish(calibrate, filters_of(calibrate->init) > calibrate->before ? "exec" : "no-filter");
    return false;
  }
  if (wait_is_group_stop(report)) {
    ptrace(PTRACE_LISTEN, report->tid, NULL, 0);
    return true;
  }
  if (report->event == 0 && report->signal == KERNEL_SYSCALL_STOP) {
    if (ptrace(PTRACE_GET_SYSCALL_INFO, report->tid, sizeof info, &info) <= 0) calibrate->record.lost += errno != ESRCH;
    else if (info.op == KERNEL_SYSCALL_ENTRY) on_entry(calibrate, report->tid, &info);
  }
  ptrace(PTRACE_SYSCALL, report->tid, NULL, wait_pending_signal(report));
  return true;
}

/* Without PTRACE_O_EXITKILL, the end of this process lets everyone go on. */
static void follow(struct calibrate *calibrate) {
  struct wait_report report;
  while (wait_take(-1, &report)) {
    if (report.kind == WAIT_STOPPED) {
      if (!on_stop(calibrate, &report)) return;
    } else if (report.tid == calibrate->init) {
      finish(calibrate, "no-exec");
      return;
    }
  }
  finish(calibrate, errno == ETIMEDOUT ? "timeout" : "lost");
}

static void run(void *context) {
  struct calibrate *calibrate = context;
  struct seize_failure failure;
  calibrate->record.stream = &calibrate->stream;
  if (!tasks_init(&calibrate->tasks)) daemon_refuse("out of memory");
  calibrate->before = filters_of(calibrate->init);
  if (!seize_process(calibrate->init, OPTIONS, &calibrate->tasks, &failure))
    daemon_refuse("cannot attach to pid %d: %s%s", calibrate->init, strerror(failure.error),
                  message_attach_hint(failure.error));
  if (stream_create(&calibrate->stream, calibrate->output, 0) != STREAM_OK)
    daemon_refuse("cannot create %s: %s", calibrate->output, strerror(errno));
  /* They stop at calls only once they have stopped and been let go that way. */
  for (size_t i = 0; i < calibrate->tasks.capacity; i++)
    if (calibrate->tasks.slots[i].tid != 0) ptrace(PTRACE_INTERRUPT, calibrate->tasks.slots[i].tid, NULL, 0);
  wait_deadline(PATIENCE);
  daemon_ready();
  follow(calibrate);
}

int calibrate_command(int argc, char **argv) {
  static const struct option options[] = {
      OPTION_STATE, OPTION_HELP, {"output", required_argument, NULL, 'o'}, {0}};
  static struct calibrate calibrate; /* large, and zero to begin with */
  static struct state state;
  struct option_target target = {0};
  int option, status;
  opterr = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (option == 'o') calibrate.output = optarg;
    else if (!option_take(option, argv, help, &target, &status)) return status;
  }
  if (option_end(argc, argv) != 0) return EXIT_USAGE;
  if (!target.from_state) return message_usage("--state is missing");
  if (!calibrate.output || !*calibrate.output) return message_usage("--output is missing");
  if (!state_read(&state)) return EXIT_FAILED;
  calibrate.init = state.pid;
  return daemon_start(run, &calibrate);
}
