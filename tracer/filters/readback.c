/* readback: the seccomp programs of a process. */
#include "base/message.h"
#include "base/options.h"
#include "base/text.h"
#include "commands.h"
#include "filters/filters.h"
#include "ptrace/wait.h"

#include <errno.h>
#include <getopt.h>
#include <linux/bpf_common.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: oci-sandbox-tracer readback --pid PID\n"
    "\n"
    "Print the seccomp programs that are installed in a process (a thread), the oldest first,\n"
    "one JSON object a line: index, instructions, log, base64 (struct sock_filter[],\n"
    "little-endian). The process is stopped for less than a millisecond. Needs CAP_SYS_ADMIN.\n"
    "\n"
    "  --pid PID  the process\n"
    "  --help     print this text\n";

enum { PATIENCE = 10 /* seconds for the process to stop */ };

static void text_base64(struct text *text, const unsigned char *data, size_t length) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"; /* RFC 4648, 4 */
  for (size_t i = 0; i < length; i += 3) {
    size_t left = length - i;
    uint32_t group = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0);
    char out[4] = {digits[group >> 18], digits[group >> 12 & 63], left > 1 ? digits[group >> 6 & 63] : '=',
                   left > 2 ? digits[group & 63] : '='};
    text_bytes(text, out, 4);
  }
}

static bool print_program(pid_t pid, int index) {
  static struct sock_filter program[BPF_MAXINSNS];
  static char buffer[sizeof program / 3 * 4 + 256];
  struct text line = TEXT_ON(buffer);
  bool logged;
  int length = filter_read(pid, index, program, &logged);
  if (length < 0) return false;
  text_format(&line, "{\"index\":%d,\"instructions\":%d,\"log\":%s,\"base64\":\"", index, length,
              logged ? "true" : "false");
  text_base64(&line, (const unsigned char *)program, (size_t)length * sizeof *program);
  text_bytes(&line, "\"}\n", 3);
  return !line.truncated && write(STDOUT_FILENO, line.data, line.length) == (ssize_t)line.length;
}

static int print_programs(pid_t pid) {
  int count = filters_installed(pid);
  if (count < 0)
    return message_fail("cannot read filters of pid %d: %s (CAP_SYS_ADMIN in the initial user namespace is needed, and"
                        " no seccomp filter on this process)",
                        pid, strerror(errno));
  for (int i = 0; i < count; i++) {
    if (!print_program(pid, i)) return message_fail("cannot read or print filter %d of pid %d: %s", i, pid, strerror(errno));
  }
  return 0;
}

static int readback(pid_t pid) {
  struct wait_report report;
  if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) != 0)
    return message_fail("cannot attach to pid %d: %s%s", pid, strerror(errno), message_attach_hint(errno));
  wait_deadline(PATIENCE);
  if (ptrace(PTRACE_INTERRUPT, pid, NULL, 0) != 0 || !wait_take(pid, &report))
    return message_fail("cannot stop pid %d: %s", pid, strerror(errno));
  if (report.kind != WAIT_STOPPED) return message_fail("pid %d has ended", pid);
  int status = print_programs(pid);
  ptrace(PTRACE_DETACH, pid, NULL, wait_pending_signal(&report)); /* keeps a stopped process stopped */
  return status;
}

int readback_command(int argc, char **argv) {
  static const struct option options[] = {OPTION_PID, OPTION_HELP, {0}};
  struct option_target target = {0};
  int option, status;
  opterr = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (!option_take(option, argv, help, &target, &status)) return status;
  }
  if (option_end(argc, argv) != 0) return EXIT_USAGE;
  if (target.pid == 0) return message_usage("--pid is missing");
  return readback(target.pid);
}
