/* probe: what this kernel and this process allow, found out by trying it on children that exist for nothing else. */
#include "base/message.h"
#include "base/options.h"
#include "base/procfs.h"
#include "base/text.h"
#include "commands.h"
#include "ebpf/ebpf.h"
#include "enforce/enforce.h"
#include "ptrace/implant.h"
#include "ptrace/seize.h"

#include <errno.h>
#include <getopt.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char help[] =
    "Usage: oci-sandbox-tracer probe\n"
    "\n"
    "Print one JSON object that says what this kernel and this process allow.\n"
    "\n"
    "  --help  print this text\n";

static struct sock_filter allow_all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

static bool cap_sys_admin(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & 1u << CAP_SYS_ADMIN);
}

static bool initial_user_namespace(void) {
  struct stat status;
  return stat("/proc/self/ns/user", &status) == 0 && status.st_ino == 0xEFFFFFFDu; /* PROC_USER_INIT_INO, include/linux/proc_ns.h */
}

/* A child that sleeps until it is killed; with NO_NEW_PRIVS or a filter if asked for. Returns its id, or -1. */
enum victim { PLAIN, NO_NEW_PRIVS, FILTERED };
static pid_t sacrifice(enum victim kind) {
  int ready[2];
  if (pipe(ready) != 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sock_fprog program = {.len = 1, .filter = allow_all};
    if (kind != PLAIN && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(1);
    if (kind == FILTERED && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) _exit(1);
    if (write(ready[1], "+", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char byte;
  close(ready[1]);
  bool good = child > 0 && read(ready[0], &byte, 1) == 1;
  close(ready[0]);
  return good ? child : -1;
}

static void end(pid_t child) {
  if (child <= 0) return;
  kill(child, SIGKILL);
  struct wait_report report;
  while (wait_take(child, &report) && report.kind == WAIT_STOPPED) ptrace(PTRACE_CONT, child, NULL, 0);
}

static bool seize_with(unsigned long options) {
  pid_t child = sacrifice(PLAIN);
  bool good = child > 0 && ptrace(PTRACE_SEIZE, child, NULL, options) == 0;
  end(child);
  return good;
}

static bool stopped(pid_t child) {
  struct wait_report report;
  return child > 0 && ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACESYSGOOD) == 0 &&
         ptrace(PTRACE_INTERRUPT, child, NULL, 0) == 0 && wait_take(child, &report) && report.kind == WAIT_STOPPED;
}

static bool get_filter(void) {
  pid_t child = sacrifice(FILTERED);
  bool good = stopped(child) && filters_installed(child) >= 1;
  end(child);
  return good;
}

static bool syscall_info(void) {
  struct kernel_syscall_info info;
  pid_t child = sacrifice(PLAIN);
  bool good = stopped(child) && ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) > 0;
  end(child);
  return good;
}

/* Does a filter that we put into a process stop it for us? */
static bool filter_stops(void) {
  static struct sock_filter program[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)};
  const struct filter filter = {.instructions = program, .length = 1};
  struct remote remote;
  struct wait_report report;
  int error;
  pid_t child = sacrifice(NO_NEW_PRIVS);
  bool good = child > 0 &&
              ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL) == 0 &&
              implant_stop(child) == 0 && remote_begin(&remote, child) == 0 &&
              implant(&remote, &filter, 1, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &error) == NULL &&
              remote_end(&remote, true) == 0 && ptrace(PTRACE_CONT, child, NULL, 0) == 0 && wait_take(child, &report) &&
              report.kind == WAIT_STOPPED && report.event == PTRACE_EVENT_SECCOMP;
  end(child);
  return good;
}

static bool early_install(void) {
  static struct enforce enforce;
  struct seize_failure failure;
  int error;
  enforce.init = sacrifice(PLAIN);
  enforce.filters[0] = (struct filter){.instructions = allow_all, .length = 1};
  enforce.count = 1;
  bool good = enforce.init > 0 && tasks_init(&enforce.tasks) &&
              seize_process(enforce.init, ENFORCE_OPTIONS | PTRACE_O_SUSPEND_SECCOMP, &enforce.tasks, &failure) &&
              install_early(&enforce, &error) == NULL;
  end(enforce.init);
  return good;
}

/* With no program, EFAULT says that the flags are known and EINVAL that they are not (seccomp(2)). */
static bool log_flag(void) {
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, NULL) != 0 && errno == EFAULT;
}

static void add_actions(struct text *text) {
  char names[512];
  text_format(text, ",\"seccompActions\":[");
  if (procfs_read("/proc/sys/kernel/seccomp/actions_avail", names, sizeof names) > 0) {
    const char *separator = "";
    for (char *name = strtok(names, " "); name; name = strtok(NULL, " "), separator = ",") {
      text_format(text, "%s", separator);
      text_json_string(text, name);
    }
  }
  text_bytes(text, "]", 1);
}

/* The attempt itself, for a process that never starts a program. */
static void add_ebpf(struct text *text) {
  struct ebpf ebpf;
  char reason[256];
  static struct combinations combinations; /* large */
  static struct paths paths;
  combinations.wanted = true; /* of no call, but it is tried whether they could be had */
  struct ebpf_options options = {.init = getpid(), .tasks = EBPF_TASKS, .combinations = &combinations, .paths = &paths};
  bool good = ebpf_open(&ebpf, &options, reason, sizeof reason);
  text_format(text, ",\"ebpf\":%s", good ? "true" : "false");
  if (good) {
    ebpf_close(&ebpf);
  } else {
    text_format(text, ",\"ebpfReason\":");
    text_json_string(text, reason);
  }
}

/* Those of learn --backend that work here. */
static void add_backends(struct text *text) {
  text_format(text, ",\"learnBackends\":[\"ptrace-syscall\"");
  if (filter_stops()) text_format(text, ",\"ptrace-trace\",\"ptrace-adaptive\",\"ptrace-known\"");
  text_bytes(text, "]", 1);
}

static void add(struct text *text, const char *key, bool value) {
  text_format(text, ",\"%s\":%s", key, value ? "true" : "false");
}

static int probe(void) {
  char buffer[4096], scope[16];
  struct text text = TEXT_ON(buffer);
  struct utsname name;
  uname(&name);
  wait_deadline(ENFORCE_PATIENCE);
  text_format(&text, "{\"version\":\"" TRACER_VERSION "\",\"kernel\":");
  text_json_string(&text, name.release);
  text_format(&text, ",\"machine\":");
  text_json_string(&text, name.machine);
  add(&text, "capSysAdmin", cap_sys_admin());
  add(&text, "initialUserNamespace", initial_user_namespace());
  add(&text, "ptraceSeize", seize_with(0));
  add(&text, "suspendSeccomp", seize_with(PTRACE_O_SUSPEND_SECCOMP));
  add(&text, "getFilter", get_filter());
  add(&text, "syscallInfo", syscall_info());
  add(&text, "earlyInstall", early_install());
  add_ebpf(&text);
  add_backends(&text);
  add_actions(&text);
  add(&text, "logFlag", log_flag());
  add(&text, "tracerFiltered", procfs_status_number(getpid(), "Seccomp") > 0);
  if (procfs_read("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof scope) > 0)
    text_format(&text, ",\"yamaPtraceScope\":%d", atoi(scope));
  text_bytes(&text, "}\n", 2);
  if (text.truncated || write(STDOUT_FILENO, text.data, text.length) != (ssize_t)text.length)
    return message_fail("cannot write to stdout: %s", strerror(errno));
  return 0;
}

int probe_command(int argc, char **argv) {
  static const struct option options[] = {OPTION_HELP, {0}};
  int option, status;
  opterr = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (!option_take(option, argv, help, NULL, &status)) return status;
  }
  return option_end(argc, argv) != 0 ? EXIT_USAGE : probe();
}
