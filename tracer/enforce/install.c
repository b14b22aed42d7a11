/* enforce: when its programs go into the process, and whether they are there. */
#include "base/procfs.h"
#include "enforce/enforce.h"
#include "ptrace/implant.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

const char *install_suspended(struct enforce *enforce, int *error) {
  struct remote remote;
  pid_t tid = enforce->init;
  const char *problem = "cannot read filters back";
  enforce->before = filters_installed(tid);
  if (enforce->before >= 0) problem = remote_begin(&remote, tid) == 0 ? NULL : "cannot take the process over";
  *error = errno;
  if (!problem) {
    problem = implant(&remote, enforce->filters, enforce->count,
                      SECCOMP_FILTER_FLAG_TSYNC | (enforce->log ? SECCOMP_FILTER_FLAG_LOG : 0), error);
    if (remote_end(&remote, true) != 0 && !problem) {
      *error = errno;
      problem = "cannot let the process go on";
    }
  }
  if (!problem && (filters_installed(tid) != enforce->before + enforce->count ||
                   !filters_match(tid, enforce->before, enforce->filters, enforce->count, enforce->log))) {
    *error = EIO;
    problem = "the filters in the process are not those that were meant";
  }
  return problem;
}

const char *install_early(struct enforce *enforce, int *error) {
  if (implant_stop(enforce->init) != 0) {
    *error = errno;
    return errno == EBUSY ? "somebody has stopped it (SIGSTOP), and so it cannot take them; create the container anew"
                          : "cannot stop the process";
  }
  const char *problem = install_suspended(enforce, error);
  if (!problem || *error == EACCES) ptrace(PTRACE_CONT, enforce->init, NULL, 0);
  return problem;
}

/* From PTRACE_EVENT_EXEC on to the execve's syscall-exit stop, where the registers of the new program are final. */
static int to_exec_exit(pid_t tid) {
  struct wait_report report;
  struct kernel_syscall_info info;
  if (ptrace(PTRACE_SYSCALL, tid, NULL, 0) != 0 || !wait_take(tid, &report)) return -1;
  if (report.kind != WAIT_STOPPED || report.signal != KERNEL_SYSCALL_STOP || report.event != 0) return -1;
  if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) <= 0) return -1;
  return info.op == KERNEL_SYSCALL_EXIT ? 0 : -1;
}

static const char *install_in_new_program(struct enforce *enforce, struct remote *remote) {
  static const uint64_t no_new_privs[6] = {PR_SET_NO_NEW_PRIVS, 1};
  int64_t result;
  int error;
  if (remote_call(remote, ARCH_CALL_PRCTL, no_new_privs, &result) != 0 || result != 0)
    return "cannot set NO_NEW_PRIVS in the process";
  for (int i = 0; i < enforce->count; i++) {
    /* On the new program's stack, whose pages the kernel has prepared (128 KiB, setup_arg_pages() in fs/exec.c): a
       munmap() afterwards might not be allowed any more. */
    uint64_t below = arch_stack_pointer(&remote->saved) - ARCH_RED_ZONE - implant_room(&enforce->filters[i]);
    const char *problem = implant_at(remote, below & ~(uint64_t)63, &enforce->filters[i],
                                      enforce->log ? SECCOMP_FILTER_FLAG_LOG : 0, &error);
    if (problem) return problem;
  }
  return NULL;
}

const char *install_at_exec(struct enforce *enforce) {
  struct remote remote;
  pid_t tid = enforce->init;
  if (!enforce->allow_no_new_privs && procfs_status_number(tid, "NoNewPrivs") != 1)
    return "installation at exec sets NO_NEW_PRIVS, which neither the container has nor --allow-no-new-privs permits";
  /* Lets a second program be installed under the first, where we may; otherwise the first has to allow seccomp(). */
  ptrace(PTRACE_SETOPTIONS, tid, NULL, ENFORCE_OPTIONS | PTRACE_O_SUSPEND_SECCOMP);
  int64_t before = procfs_status_number(tid, "Seccomp_filters"); /* Linux 5.9 */
  if (to_exec_exit(tid) != 0 || remote_begin(&remote, tid) != 0) return "cannot take the process over";
  const char *problem = install_in_new_program(enforce, &remote);
  if (problem) return problem;
  if (remote_end(&remote, false) != 0) return "cannot let the process go on";
  if (procfs_status_number(tid, "Seccomp") != SECCOMP_MODE_FILTER ||
      procfs_status_number(tid, "Seccomp_filters") != before + enforce->count)
    return "the number of filters in the process is not what was meant";
  int readable = filters_installed(tid); /* not without CAP_SYS_ADMIN */
  if (readable >= 0 && !filters_match(tid, (int)before, enforce->filters, enforce->count, enforce->log))
    return "the filters in the process are not those that were meant";
  return NULL;
}
