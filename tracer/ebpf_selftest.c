/* The proof, before a container relies on it, that the programs see on this kernel what they should: a child process puts itself
   into the table, makes calls of every ABI, a process, and a call that a filter denies, and ends. Every count must be right. */
#include "ebpf.h"

#include "kernel.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NO_ADOPTION = 3, NO_FILTER = 4, NO_COMPAT = 5 }; /* the child's exit codes */

static void without_compat(int number) {
  (void)number;
  syscall(SYS_exit_group, NO_COMPAT);
}

/* Nothing here may make a call that expect() does not know of, from the adoption on. */
static _Noreturn void child(const struct ebpf *ebpf) {
  struct sock_filter instructions[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = 4, .filter = instructions};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  signal(SIGSEGV, without_compat);
  arch_prepare_samples();
  if (!ebpf_adopt_caller(ebpf)) _exit(NO_ADOPTION);
  if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0) {
    arch_make_sample(0);
    syscall(SYS_exit_group, 0);
  }
  syscall(SYS_wait4, -1, NULL, __WALL, NULL);
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) syscall(SYS_exit_group, NO_FILTER);
  syscall(SYS_getpgid, 0);
  for (int i = 0; i < arch_sample_count; i++) arch_make_sample(i);
  syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

struct expected {
  struct arch_call call;
  uint64_t count, denied;
};

static uint64_t found(const struct ebpf *ebpf, const struct expected *expected, uint64_t *denied) {
  uint64_t count = 0;
  int slot = expected->call.abi * RECORD_NUMBERS + expected->call.nr;
  for (unsigned i = 0; i < ebpf->processors; i++) count += ebpf->all_counts[i].slots[slot];
  *denied = ebpf->all_counts[ebpf->processors + EBPF_DENIED].slots[slot];
  return count;
}

static bool check(const struct ebpf *ebpf, bool compat, char *reason, size_t size) {
  int native = arch_kernel.native;
  struct expected expected[8 + ARCH_ABIS_MAX] = {
      {{native, SYS_clone}, 1, 0},   {{native, SYS_wait4}, 1, 0},      {{native, SYS_seccomp}, 1, 0},
      {{native, SYS_getpgid}, 0, 1}, {{native, SYS_exit_group}, compat && arch_samples_end ? 1 : 2, 0},
  };
  int count = 5;
  uint64_t total = 0, sum, denied;
  for (int i = 0; i < arch_sample_count; i++) {
    bool there = compat || arch_samples[i].abi != arch_kernel.compat;
    expected[count++] = (struct expected){arch_samples[i], there + (i == 0), 0};
  }
  for (int i = 0; i < count; i++) {
    total += expected[i].count + expected[i].denied;
    uint64_t calls = found(ebpf, &expected[i], &denied);
    if (calls == expected[i].count && denied == expected[i].denied) continue;
    snprintf(reason, size, "self-test: %s call %d was counted %llu+%llu times, not %llu+%llu",
             arch_abi_names[expected[i].call.abi], expected[i].call.nr, (unsigned long long)calls,
             (unsigned long long)denied, (unsigned long long)expected[i].count, (unsigned long long)expected[i].denied);
    return false;
  }
  sum = ebpf_calls(ebpf);
  const volatile struct ebpf_state *state = ebpf->all_state;
  if (sum == total && state->live == 0 && state->born == 2 && state->lost_calls == 0 && state->lost_tasks == 0) return true;
  snprintf(reason, size, "self-test: %llu calls in place of %llu, %llu of %llu tasks live", (unsigned long long)sum,
           (unsigned long long)total, (unsigned long long)state->live, (unsigned long long)state->born);
  return false;
}

bool ebpf_self_test(struct ebpf *ebpf, char *reason, size_t size) {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) child(ebpf);
  if (pid < 0 || waitpid(pid, &status, 0) != pid) {
    snprintf(reason, size, "self-test: cannot fork: %s", strerror(errno));
    return false;
  }
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code != 0 && code != NO_COMPAT) {
    snprintf(reason, size, "self-test: %s (wait status %#x)",
             code == NO_ADOPTION ? "the kernel does not run a program on demand (Linux 5.10)" : "the child failed",
             (unsigned)status);
    return false;
  }
  if (!check(ebpf, code == 0, reason, size)) return false;
  memset((void *)ebpf->all_counts, 0, sizeof(struct ebpf_counts) * (ebpf->processors + EBPF_MORE_ROWS));
  memset((void *)ebpf->all_state, 0, sizeof(struct ebpf_state));
  return true;
}
