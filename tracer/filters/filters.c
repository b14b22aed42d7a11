#include "filters/filters.h"

#include "base/message.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf_common.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

bool filter_load(struct filter *filter, const char *path) {
  struct stat status;
  filter->path = path;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold the hook up */
  if (fd < 0 || fstat(fd, &status) != 0) {
    message_fail("cannot open filter %s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return false;
  }
  size_t size = (size_t)status.st_size;
  bool good = false;
  if (!S_ISREG(status.st_mode)) {
    message_fail("filter %s is no regular file", path);
  } else if (size == 0 || size % sizeof(struct sock_filter) != 0 || size > BPF_MAXINSNS * sizeof(struct sock_filter)) {
    message_fail("filter %s has %zu bytes: expected 1 to %d instructions of %zu bytes", path, size, BPF_MAXINSNS,
                 sizeof(struct sock_filter));
  } else if (!(filter->instructions = malloc(size)) || read(fd, filter->instructions, size) != (ssize_t)size) {
    message_fail("cannot read filter %s whole", path);
  } else {
    filter->length = (unsigned short)(size / sizeof(struct sock_filter));
    good = true;
  }
  close(fd);
  return good;
}

/* seccomp(2) with SECCOMP_FILTER_FLAG_NEW_LISTENER (Linux 5.0) verifies and compiles the program, and only then takes a
   descriptor for the listener; with no descriptor to be had it fails with EMFILE and has installed nothing
   (seccomp_set_mode_filter() in kernel/seccomp.c). Returns the errno. A child that really installed the program could
   not even exit under many policies, and would leave a line in the audit log at each start of a container. */
static int check_program(const struct sock_filter *instructions, unsigned short length) {
  struct sock_fprog program = {.len = length, .filter = (struct sock_filter *)(uintptr_t)instructions};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) >= 0) return 0;
  return errno;
}

/* Does this kernel do it in that order? */
static bool check_works(void) {
  static const struct sock_filter valid[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  static const struct sock_filter invalid[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)}; /* does not end in a return */
  return check_program(valid, 1) == EMFILE && check_program(invalid, 1) == EINVAL;
}

bool filters_check(const struct filter *filters, int count) {
  struct rlimit limit, none;
  /* Needed without CAP_SYS_ADMIN; this process executes nothing that could miss privileges. */
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    message_fail("cannot prepare the check of filters: %s", strerror(errno));
    return false;
  }
  none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  bool good = check_works();
  if (!good) message_fail("the kernel cannot check filters here (Linux 5.0 with CONFIG_SECCOMP_FILTER is needed)");
  for (int i = 0; good && i < count; i++) {
    int error = check_program(filters[i].instructions, filters[i].length);
    if (error == EMFILE) continue;
    good = false;
    message_fail("filter %s: the kernel refuses the program: %s%s", filters[i].path, strerror(error),
                 error == EINVAL ? " (not a valid seccomp program; compile the policy again)" : "");
  }
  setrlimit(RLIMIT_NOFILE, &limit);
  return good;
}

int filters_installed(pid_t tid) {
  for (int n = 0;; n++) {
    if (ptrace(PTRACE_SECCOMP_GET_FILTER, tid, n, NULL) >= 0) continue;
    if (errno == ENOENT) return n;
    return errno == EINVAL && n == 0 ? 0 : -1; /* EINVAL: the process is not in filter mode */
  }
}

int filter_read(pid_t tid, int index, struct sock_filter *program, bool *logged) {
  struct kernel_seccomp_metadata metadata = {.filter_off = (unsigned)index};
  long length = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, NULL);
  if (length < 0 || length > BPF_MAXINSNS) return -1;
  if (ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, program) != length) return -1;
  if (ptrace(PTRACE_SECCOMP_GET_METADATA, tid, sizeof metadata, &metadata) < 0) return -1;
  *logged = metadata.flags & SECCOMP_FILTER_FLAG_LOG;
  return (int)length;
}

bool filters_match(pid_t tid, int before, const struct filter *filters, int count, bool log) {
  static struct sock_filter program[BPF_MAXINSNS];
  for (int i = 0; i < count; i++) {
    bool logged;
    int length = filter_read(tid, before + i, program, &logged);
    if (length != filters[i].length || logged != log) return false;
    if (memcmp(program, filters[i].instructions, (size_t)length * sizeof *program) != 0) return false;
  }
  return true;
}
