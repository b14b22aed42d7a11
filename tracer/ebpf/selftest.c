/* The proof, before a container relies on it, that the programs see on this kernel what they should: a child process puts itself
   into the table, makes calls of every ABI, a process, and a call that a filter denies, and ends. Every count must be right, and
   where arguments are recorded every argument. */
#include "ebpf/ebpf.h"
#include "ebpf/pieces.h"

#include "base/kernel.h"

#include <errno.h>
#include <fcntl.h>
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

/* Of the call that is denied arguments 0, 3 and 5 are recorded. Of each the low half counts. */
static const uint64_t denied_arguments[6] = {0x100000007, 0x200000008, 0x300000009, 0x40000000a, 0x50000000b, 0x6ffffffff};
enum { DENIED_MASK = 0x29 };

static void make_denied(void) {
  const uint64_t *values = denied_arguments;
  syscall(SYS_getpgid, values[0], values[1], values[2], values[3], values[4], values[5]);
}

/* A call with a path, as it were: what is captured of it must be what was there. Where the names of files are in the kernel's structures is
   tried out so. */
static const char path_text[] = "part/of a path";
static const char path_bytes[] = "some bytes";
static int path_directory = -1; /* on another file system than / is */
enum { PATH_CALL = SYS_fsync, PATH_LENGTH = sizeof path_bytes };

/* From the stack: that memory is there for sure, as is what the kernel has read for a call. */
static void make_path_call(void) {
  char text[sizeof path_text], bytes[sizeof path_bytes];
  memcpy(text, path_text, sizeof text);
  memcpy(bytes, path_bytes, sizeof bytes);
  syscall(PATH_CALL, path_directory, text, bytes, PATH_LENGTH, 0, 0);
}

static void want_path(struct ebpf *ebpf) {
  volatile struct ebpf_shape *shape = &ebpf->all_shapes[arch_kernel.native * RECORD_NUMBERS + PATH_CALL];
  path_directory = open("/sys/kernel/btf", O_PATH | O_DIRECTORY | O_CLOEXEC);
  shape->steps[1] = EBPF_STEP_BASE | 0 << 8;
  shape->steps[2] = EBPF_STEP_ADDRESS | 2 << 8 | (3 + 1) << 16;
  shape->steps[3] = EBPF_STEP_WORKING;
  shape->steps[0] = EBPF_STEP_TEXT | 1 << 8;
}

static bool is_link(const char *name, const char *captured) {
  char expected[TRACEE_PATH_MAX];
  return tracee_link(getpid(), name, expected) && strcmp(captured, expected) == 0;
}

/* What is wrong with it, "" if nothing is. */
static void take_path(void *context, const struct ebpf_capture *end) {
  char path[TRACEE_PATH_MAX] = "", base[TRACEE_PATH_MAX] = "", here[TRACEE_PATH_MAX] = "", name[32], bytes[sizeof path_bytes] = "";
  uint64_t arguments[6];
  const char **wrong = context;
  if (end->slot == EBPF_SLOTS) return; /* the program that some samples are */
  memcpy(arguments, end->data, sizeof arguments);
  snprintf(name, sizeof name, "fd/%d", path_directory);
  tracee_path(0, arguments[1], path);
  tracee_link(0, name, base);
  tracee_link(0, "cwd", here);
  tracee_read(0, arguments[2], bytes, sizeof bytes);
  tracee_use(NULL); /* from here on the truth */
  if ((int)end->slot != arch_kernel.native * RECORD_NUMBERS + PATH_CALL) *wrong = "number";
  else if ((int64_t)end->key != -EBADF) *wrong = "result";
  else if ((int)arguments[0] != path_directory || arguments[3] != PATH_LENGTH) *wrong = "arguments";
  else if (strcmp(path, path_text) != 0) *wrong = "path";
  else if (memcmp(bytes, path_bytes, sizeof bytes) != 0) *wrong = "memory";
  else if (!is_link(name, base)) *wrong = "directory";
  else *wrong = is_link("cwd", here) ? "" : "working directory";
}

static bool check_path(struct ebpf *ebpf, char *reason, size_t size) {
  const char *wrong = "end";
  ebpf_pieces_read(ebpf, take_path, &wrong);
  close(path_directory);
  if (*wrong) snprintf(reason, size, "self-test: of a call with a path the %s was not captured as it is", wrong);
  return !*wrong;
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
  if (ebpf->reader) make_path_call();
  make_denied();
  for (int i = 0; i < arch_sample_count; i++) arch_make_sample(i);
  syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

struct expected {
  struct arch_call call;
  uint64_t count, denied;
};

static bool check(const struct ebpf *ebpf, bool compat, char *reason, size_t size) {
  int native = arch_kernel.native;
  struct expected expected[8 + 2 * ARCH_ABIS_MAX] = {
      {{native, SYS_clone}, 1, 0},   {{native, SYS_wait4}, 1, 0},      {{native, SYS_seccomp}, 1, 0},
      {{native, SYS_getpgid}, 0, 1}, {{native, SYS_exit_group}, compat && arch_samples_end ? 1 : 2, 0},
  };
  int count = 5;
  if (ebpf->reader) expected[count++] = (struct expected){{native, PATH_CALL}, 1, 0};
  uint64_t total = 0, sum, denied;
  for (int i = 0; i < arch_sample_count; i++) {
    bool there = compat || arch_samples[i].abi != arch_kernel.compat;
    expected[count++] = (struct expected){arch_samples[i], there + (i == 0), 0};
  }
  for (int i = 0; i < count; i++) {
    total += expected[i].count + expected[i].denied;
    uint64_t calls = ebpf_count(ebpf, expected[i].call.abi * RECORD_NUMBERS + expected[i].call.nr, &denied) - denied;
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

static const struct arch_call *denied_call(void) {
  static struct arch_call call;
  call = (struct arch_call){arch_kernel.native, SYS_getpgid};
  return &call;
}

static void want_samples(struct ebpf *ebpf) {
  uint64_t arguments[6];
  ebpf_want(ebpf, denied_call(), DENIED_MASK);
  for (int i = 0; i < arch_sample_count; i++) {
    if (arch_sample_arguments(i, arguments)) ebpf_want(ebpf, &arch_samples[i], 0x3f);
  }
}

/* Is it the combination that was recorded next? */
static bool comes_next(const struct ebpf *ebpf, uint64_t *count, const struct arch_call *call, const uint64_t arguments[6], uint8_t mask) {
  const volatile struct ebpf_combination *seen = &ebpf->all_combinations[(*count)++];
  bool same = seen->state == EBPF_WRITTEN && (int)seen->slot == call->abi * RECORD_NUMBERS + call->nr;
  for (int i = 0; i < 6; i++) same = same && seen->values[i] == (mask >> i & 1 ? (uint32_t)arguments[i] : 0);
  return same;
}

/* In the order in which the child made the calls, each once: the first sample, what is denied, the other samples. */
static bool check_arguments(const struct ebpf *ebpf, bool compat, char *reason, size_t size) {
  uint64_t count = 0, arguments[6];
  for (int i = 0; i < arch_sample_count; i++) {
    const struct arch_call *call = &arch_samples[i];
    if (!arch_sample_arguments(i, arguments) || (!compat && call->abi == arch_kernel.compat)) continue;
    if (comes_next(ebpf, &count, call, arguments, 0x3f) &&
        (i > 0 || comes_next(ebpf, &count, call = denied_call(), denied_arguments, DENIED_MASK)))
      continue;
    snprintf(reason, size, "self-test: the arguments of %s call %d were not recorded as they are", arch_abi_names[call->abi],
             call->nr);
    return false;
  }
  if (ebpf->all_state->combinations == count) return true;
  snprintf(reason, size, "self-test: %llu combinations of arguments in place of %llu",
           (unsigned long long)ebpf->all_state->combinations, (unsigned long long)count);
  return false;
}

bool ebpf_self_test(struct ebpf *ebpf, char *reason, size_t size) {
  int status = 0;
  if (ebpf->all_wanted) want_samples(ebpf);
  if (ebpf->reader) want_path(ebpf);
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
  if (ebpf->all_wanted && !check_arguments(ebpf, code == 0, reason, size)) return false;
  if (ebpf->reader && !check_path(ebpf, reason, size)) return false;
  if (ebpf_forget(ebpf)) return true;
  snprintf(reason, size, "self-test: what it has recorded cannot be removed: %s", strerror(errno));
  return false;
}
