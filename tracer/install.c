/* Putting programs into a process, by system calls that it executes for us. */
#include "enforce.h"
#include "procfs.h"
#include "remote.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { HEADER = 16 /* room for struct sock_fprog */ };

/* struct sock_fprog (<linux/filter.h>) as the tracee's kernel interface lays it out, the program right behind it. */
static int write_program(const struct remote *remote, uint64_t address, const struct filter *filter) {
  struct {
    unsigned short length;
    unsigned short pad[3];
    uint64_t instructions;
  } wide = {.length = filter->length, .instructions = address + HEADER};
  struct {
    unsigned short length;
    unsigned short pad;
    uint32_t instructions;
    uint64_t unused;
  } narrow = {.length = filter->length, .instructions = (uint32_t)(address + HEADER)};
  _Static_assert(sizeof wide == HEADER && sizeof narrow == HEADER, "struct sock_fprog must fit");
  if (remote_write(remote, address, remote->compat ? (void *)&narrow : (void *)&wide, HEADER) != 0) return -1;
  return remote_write(remote, address + HEADER, filter->instructions, filter->length * sizeof(struct sock_filter));
}

static size_t room_for(const struct filter *filter) {
  return HEADER + filter->length * sizeof(struct sock_filter);
}

static const char *install_one(struct remote *remote, uint64_t address, const struct filter *filter, unsigned flags,
                               int *error) {
  const uint64_t arguments[6] = {SECCOMP_SET_MODE_FILTER, flags, address};
  int64_t result;
  *error = 0;
  if (write_program(remote, address, filter) != 0 || remote_call(remote, ARCH_CALL_SECCOMP, arguments, &result) != 0) {
    *error = errno;
    return "cannot execute seccomp() in the process";
  }
  if (result == 0) return NULL;
  /* With TSYNC a positive result is the thread that could not be given the filter. */
  *error = result < 0 ? (int)-result : EBUSY;
  return "the kernel refuses the filter in the process";
}

static const char *install_all(struct enforce *enforce, struct remote *remote, int *error) {
  size_t size = 0;
  for (int i = 0; i < enforce->count; i++) {
    if (room_for(&enforce->filters[i]) > size) size = room_for(&enforce->filters[i]);
  }
  /* Not on the stack: a goroutine's may be a few kilobytes only, with other data right below. */
  const uint64_t map[6] = {0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0};
  int64_t address, unmapped;
  if (remote_call(remote, ARCH_CALL_MMAP, map, &address) != 0) {
    *error = errno;
    return "cannot execute mmap() in the process";
  }
  if (address < 0 && address > -4096) {
    *error = (int)-address;
    return "the kernel refuses memory for the filter in the process";
  }
  if (remote->compat) address = (uint32_t)address;
  const char *problem = NULL;
  unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | (enforce->log ? SECCOMP_FILTER_FLAG_LOG : 0);
  for (int i = 0; i < enforce->count && !problem; i++) {
    problem = install_one(remote, (uint64_t)address, &enforce->filters[i], flags, error);
    if (problem && i > 0 && *error == EACCES) *error = EIO; /* EACCES promises that nothing was changed */
  }
  const uint64_t unmap[6] = {(uint64_t)address, size};
  if (remote_call(remote, ARCH_CALL_MUNMAP, unmap, &unmapped) != 0 && !problem) {
    *error = errno;
    problem = "cannot execute munmap() in the process";
  }
  return problem;
}

/* Stop the leader where its registers may be borrowed: at PTRACE_EVENT_STOP. */
static int stop_leader(pid_t tid) {
  struct wait_report report;
  if (ptrace(PTRACE_INTERRUPT, tid, NULL, 0) != 0) return -1;
  for (;;) {
    if (!wait_take(tid, &report)) return -1;
    if (report.kind != WAIT_STOPPED) {
      errno = ESRCH;
      return -1;
    }
    if (report.event == PTRACE_EVENT_STOP && !wait_is_group_stop(&report)) return 0;
    if (report.event == PTRACE_EVENT_STOP) { /* somebody has stopped the runtime's init: not ours to wake */
      errno = EBUSY;
      return -1;
    }
    if (ptrace(PTRACE_CONT, tid, NULL, wait_pending_signal(&report)) != 0) return -1;
  }
}

const char *install_suspended(struct enforce *enforce, int *error) {
  struct remote remote;
  pid_t tid = enforce->init;
  const char *problem = "cannot read filters back";
  enforce->before = filters_installed(tid);
  if (enforce->before >= 0) problem = remote_begin(&remote, tid) == 0 ? NULL : "cannot take the process over";
  *error = errno;
  if (!problem) {
    problem = install_all(enforce, &remote, error);
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
  if (stop_leader(enforce->init) != 0) {
    *error = errno;
    return "cannot stop the process";
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
    uint64_t below = arch_stack_pointer(&remote->saved) - ARCH_RED_ZONE - room_for(&enforce->filters[i]);
    const char *problem = install_one(remote, below & ~(uint64_t)63, &enforce->filters[i],
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
