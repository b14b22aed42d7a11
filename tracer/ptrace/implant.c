#include "ptrace/implant.h"

#include "ptrace/wait.h"

#include <errno.h>
#include <sys/mman.h>

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

size_t implant_room(const struct filter *filter) {
  return HEADER + filter->length * sizeof(struct sock_filter);
}

const char *implant_at(struct remote *remote, uint64_t address, const struct filter *filter, unsigned flags, int *error) {
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

const char *implant(struct remote *remote, const struct filter *filters, int count, unsigned flags, int *error) {
  size_t size = 0;
  for (int i = 0; i < count; i++) {
    if (implant_room(&filters[i]) > size) size = implant_room(&filters[i]);
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
  for (int i = 0; i < count && !problem; i++) {
    problem = implant_at(remote, (uint64_t)address, &filters[i], flags, error);
    if (problem && i > 0 && *error == EACCES) *error = EIO; /* EACCES promises that nothing was changed */
  }
  const uint64_t unmap[6] = {(uint64_t)address, size};
  if (remote_call(remote, ARCH_CALL_MUNMAP, unmap, &unmapped) != 0 && !problem) {
    *error = errno;
    problem = "cannot execute munmap() in the process";
  }
  return problem;
}

int implant_stop(pid_t tid) {
  struct wait_report report;
  if (ptrace(PTRACE_INTERRUPT, tid, NULL, 0) != 0) return -1;
  for (;;) {
    if (!wait_look(tid, &report)) return -1;
    if (report.kind != WAIT_STOPPED) {
      errno = ESRCH;
      return -1;
    }
    if (report.event == PTRACE_EVENT_STOP && !wait_is_group_stop(&report)) return 0;
    if (report.event == PTRACE_EVENT_STOP) { /* somebody has stopped it: not ours to wake */
      errno = EBUSY;
      return -1;
    }
    if (ptrace(PTRACE_CONT, tid, NULL, wait_pending_signal(&report)) != 0) return -1;
  }
}
