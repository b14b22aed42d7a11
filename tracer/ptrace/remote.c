#include "ptrace/remote.h"

#include "base/kernel.h"
#include "base/procfs.h"
#include "ptrace/wait.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { VDSO_PAGES = 4, PAGE = 4096 };

static ssize_t read_memory(pid_t tid, uint64_t address, void *data, size_t length) {
  struct iovec here = {data, length}, there = {(void *)(uintptr_t)address, length};
  return process_vm_readv(tid, &here, 1, &there, 1, 0);
}

int remote_write(const struct remote *remote, uint64_t address, const void *data, size_t length) {
  struct iovec here = {(void *)(uintptr_t)data, length}, there = {(void *)(uintptr_t)address, length};
  ssize_t written = process_vm_writev(remote->tid, &here, 1, &there, 1, 0);
  if (written == (ssize_t)length) return 0;
  if (written >= 0) errno = EFAULT;
  return -1;
}

/* A tracee that was stopped within a system call stands behind the instruction that made it. */
static uint64_t instruction_behind(pid_t tid, const struct arch_registers *registers, bool compat) {
  const struct arch_instruction wanted = arch_call_instruction(compat);
  unsigned char bytes[sizeof wanted.bytes];
  uint64_t address = arch_instruction_pointer(registers) - wanted.length;
  if (address % wanted.alignment != 0 || read_memory(tid, address, bytes, wanted.length) != (ssize_t)wanted.length) return 0;
  return memcmp(bytes, wanted.bytes, wanted.length) == 0 ? address : 0;
}

/* Every vDSO has one, as the fallback of clock_gettime() or for 32-bit code to enter the kernel. If the bytes happen to
   be a part of another instruction, no matter: executed from there they are what we look for. */
static uint64_t instruction_in_vdso(pid_t tid, bool compat) {
  const struct arch_instruction wanted = arch_call_instruction(compat);
  uint64_t vdso = procfs_auxv(tid, AT_SYSINFO_EHDR, compat);
  unsigned char page[PAGE];
  for (int n = 0; vdso != 0 && n < VDSO_PAGES; n++) { /* page by page: a read must not cross into a hole */
    if (read_memory(tid, vdso + (uint64_t)n * PAGE, page, PAGE) != PAGE) return 0;
    const unsigned char *found = memmem(page, PAGE, wanted.bytes, wanted.length);
    while (found && (size_t)(found - page) % wanted.alignment != 0)
      found = memmem(found + 1, (size_t)(page + PAGE - found - 1), wanted.bytes, wanted.length);
    if (found) return vdso + (uint64_t)n * PAGE + (uint64_t)(found - page);
  }
  return 0;
}

/* Without a vDSO (vdso=0 on the kernel's command line): write the instruction over the program's, and those back in the end. */
static int poke_instruction(struct remote *remote) {
  const struct arch_instruction wanted = arch_call_instruction(remote->compat);
  uint64_t address = arch_spare_place(&remote->saved), offset = address % sizeof remote->poked_word;
  errno = 0;
  long word = ptrace(PTRACE_PEEKTEXT, remote->tid, address - offset, NULL);
  if (word == -1 && errno) return -1;
  remote->poked_word = word;
  memcpy((unsigned char *)&word + offset, wanted.bytes, wanted.length);
  if (ptrace(PTRACE_POKETEXT, remote->tid, address - offset, word) != 0) return -1;
  remote->poked = true;
  remote->instruction = address;
  return 0;
}

int remote_begin(struct remote *remote, pid_t tid) {
  *remote = (struct remote){.tid = tid};
  if (arch_get_registers(tid, &remote->saved) != 0) return -1;
  remote->compat = arch_is_compat(&remote->saved);
  remote->instruction = instruction_behind(tid, &remote->saved, remote->compat);
  if (remote->instruction == 0) remote->instruction = instruction_in_vdso(tid, remote->compat);
  if (remote->instruction == 0 && poke_instruction(remote) != 0) return -1;
  /* No handler may run on the borrowed registers. The kernel keeps SIGKILL and SIGSTOP out of the mask. */
  uint64_t all = ~(uint64_t)0;
  if (ptrace(PTRACE_GETSIGMASK, tid, sizeof remote->signal_mask, &remote->signal_mask) != 0) return -1;
  return (int)ptrace(PTRACE_SETSIGMASK, tid, sizeof all, &all);
}

/* On to the next syscall stop of the kind that is expected. */
static int step(struct remote *remote, int kind, struct kernel_syscall_info *info) {
  for (;;) {
    struct wait_report report;
    if (ptrace(PTRACE_SYSCALL, remote->tid, NULL, 0) != 0 || !wait_look(remote->tid, &report)) return -1;
    if (report.kind != WAIT_STOPPED) {
      errno = ESRCH;
      return -1;
    }
    if (report.signal == KERNEL_SYSCALL_STOP && report.event == 0) break;
    if (wait_is_group_stop(&report)) remote->group_stop = true; /* that another thread has begun */
    if (report.event != 0) continue; /* or PTRACE_EVENT_SECCOMP of a filter that stops for its tracer */
    if (report.signal != SIGSTOP) {  /* masked signals do not arrive: a fault of the tracee */
      errno = EFAULT;
      return -1;
    }
    remote->stop_pending = true;
  }
  if (ptrace(PTRACE_GET_SYSCALL_INFO, remote->tid, sizeof *info, info) <= 0) return -1;
  if (info->op == kind) return 0;
  errno = EPROTO;
  return -1;
}

int remote_call(struct remote *remote, enum arch_remote_call call, const uint64_t arguments[6], int64_t *result) {
  struct arch_registers registers = remote->saved;
  struct kernel_syscall_info info;
  int32_t nr = arch_remote_number(call, remote->compat);
  arch_prepare_call(&registers, remote->instruction, nr, arguments);
  if (arch_set_registers(remote->tid, &registers) != 0 || step(remote, KERNEL_SYSCALL_ENTRY, &info) != 0) return -1;
  if (info.entry.nr != (uint64_t)nr) { /* somebody else's call: never take its result for ours */
    errno = EPROTO;
    return -1;
  }
  if (step(remote, KERNEL_SYSCALL_EXIT, &info) != 0) return -1;
  *result = info.exit.rval;
  return 0;
}

/* Registers of an interrupted call (result -ERESTART…) mean a restart only on the way through the kernel's signal code,
   so the tracee is sent there once more, by PTRACE_INTERRUPT, and given its registers back there. */
static int back_to_event_stop(pid_t tid) {
  struct wait_report report;
  if (ptrace(PTRACE_INTERRUPT, tid, NULL, 0) != 0 || ptrace(PTRACE_CONT, tid, NULL, 0) != 0) return -1;
  if (!wait_look(tid, &report)) return -1;
  if (report.kind == WAIT_STOPPED && report.event == PTRACE_EVENT_STOP) return 0;
  errno = report.kind == WAIT_STOPPED ? EPROTO : ESRCH;
  return -1;
}

int remote_end(struct remote *remote, bool interrupted) {
  pid_t tid = remote->tid;
  uint64_t word = remote->instruction - remote->instruction % sizeof remote->poked_word;
  if (remote->poked && ptrace(PTRACE_POKETEXT, tid, word, remote->poked_word) != 0) return -1;
  if (interrupted && back_to_event_stop(tid) != 0) return -1;
  if (arch_set_registers(tid, &remote->saved) != 0) return -1;
  if (ptrace(PTRACE_SETSIGMASK, tid, sizeof remote->signal_mask, &remote->signal_mask) != 0) return -1;
  if (remote->stop_pending) syscall(SYS_tgkill, procfs_status_number(tid, "Tgid"), tid, SIGSTOP);
  return 0;
}
