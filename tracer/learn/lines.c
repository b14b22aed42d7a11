/* The lines of learn's stream, except those about calls (record.c, combinations.c). */
#include "learn/learn.h"

#include "base/procfs.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { PROTOCOL = 1 };

const char *const learn_backend_names[LEARN_BACKENDS] = {
    "auto", "ebpf", "ptrace-syscall", "ptrace-trace", "ptrace-adaptive", "ptrace-known",
};

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
  text_format(line, ",\"backend\":\"%s\"", learn_backend_names[as_said ? learn->backend : LEARN_PTRACE_SYSCALL]);
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

bool learn_line_hello(struct learn *learn, const char *run_id) {
  char buffer[8192], boot[64] = "";
  struct text line = TEXT_ON(buffer);
  struct utsname name;
  uname(&name);
  procfs_read("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
  text_format(&line, "{\"event\":\"hello\",\"protocol\":%d,\"version\":\"" TRACER_VERSION "\",\"runId\":", PROTOCOL);
  if (run_id) text_json_string(&line, run_id);
  else text_format(&line, "null");
  text_format(&line, ",\"backend\":\"%s\",\"detail\":\"%s\",\"kernel\":", learn_backend_names[learn->backend],
              learn->events.wanted ? "events" : learn->paths.wanted ? "paths" : learn->combinations.wanted ? "args" : "names");
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

bool learn_line_no_ebpf(struct learn *learn, const char *reason) {
  char buffer[1024];
  struct text line = TEXT_ON(buffer);
  text_format(&line, "{\"event\":\"warn\",\"code\":\"no-ebpf\",\"reason\":");
  text_json_string(&line, reason);
  text_bytes(&line, "}", 1);
  return stream_line(&learn->stream, &line);
}

bool learn_line_attached(struct learn *learn) {
  char buffer[64];
  struct text line = TEXT_ON(buffer);
  text_format(&line, "{\"event\":\"attached\",\"threads\":%zu}", learn->tasks.count);
  return stream_line(&learn->stream, &line);
}
