/* What follows from the numbers of a machine's calls. */
#include "arch/arch.h"

#include "base/kernel.h"

size_t arch_pointer_size(int abi) { return abi == arch_kernel.native ? 8 : 4; }

static bool is(const struct arch_call *call, int native, int compat) {
  return call->nr == (call->abi == arch_kernel.compat ? compat : native);
}

static bool is_prctl(const struct arch_call *call) { return is(call, arch_kernel.prctl, arch_kernel.compat_prctl); }
static bool is_seccomp(const struct arch_call *call) { return is(call, arch_kernel.seccomp, arch_kernel.compat_seccomp); }

enum arch_watch arch_watch(const struct arch_call *call) {
  if (is_prctl(call)) return ARCH_WATCH_SET_SECCOMP;
  if (is_seccomp(call)) return ARCH_WATCH_ALWAYS;
  switch (arch_clone_kind(call)) {
    case ARCH_CLONE_FLAGS_FIRST:
      return ARCH_WATCH_UNTRACED;
    case ARCH_CLONE3: /* its flags are in memory */
      return ARCH_WATCH_ALWAYS;
    default:
      return ARCH_WATCH_NEVER;
  }
}

bool arch_sets_filter(const struct arch_call *call, uint64_t first) {
  if (is_prctl(call)) return (uint32_t)first == KERNEL_PR_SET_SECCOMP;
  return is_seccomp(call) && ((uint32_t)first == SECCOMP_SET_MODE_FILTER || (uint32_t)first == SECCOMP_SET_MODE_STRICT);
}
