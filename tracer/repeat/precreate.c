#include "repeat/precreate.h"

#include "base/procfs.h"
#include "repeat/bundle.h"
#include "repeat/program.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <unistd.h>

enum { ADDED_SIZE_MAX = 1 << 16 };

static bool print(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t put = write(STDOUT_FILENO, bytes, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) _exit(1); /* a part may have been read: podman shall not take it for the whole */
    bytes += put;
    length -= (size_t)put;
  }
  return true;
}

bool precreate(const struct asked *asked, struct question *question, const char *text, size_t length) {
  static struct bundle bundle;
  static struct decision decision;
  if (!bundle_parse(&bundle, text, length)) return false;
  struct bundle_change change = {.annotations = bundle.annotations.count};
  if (!question_write(question, "precreate", &bundle.annotations)) return false;
  decision_recall(asked, &decision);
  if (decision.kind == DECISION_PASS) return print(text, length);
  if (decision.kind != DECISION_ENFORCE || !decision.start_hook || !program_names_us(decision.start_hook)) return false;
  if (!procfs_capable(0, CAP_SYS_PTRACE)) return false;
  struct text output = {.data = malloc(length + ADDED_SIZE_MAX), .size = length + ADDED_SIZE_MAX};
  bool needed;
  if (!bundle_needs_hook(&bundle, asked->config, &needed)) return false;
  if (needed) change.start_hook = decision.start_hook;
  return output.data && bundle_write(&bundle, &change, &output) && print(output.data, output.length);
}
