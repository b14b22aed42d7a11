/* Kernel interfaces. The requests come from glibc's <sys/ptrace.h>, which excludes <linux/ptrace.h> in some releases; its
   structures are therefore declared here as they stand there. */
#ifndef KERNEL_H
#define KERNEL_H

#include <linux/filter.h>  /* struct sock_filter, struct sock_fprog */
#include <linux/seccomp.h> /* SECCOMP_* */
#include <sys/ptrace.h>
#include <sys/syscall.h>

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128 /* <linux/ptrace.h> */
#endif

/* struct ptrace_syscall_info, <linux/ptrace.h>, Linux 5.3 */
enum { KERNEL_SYSCALL_ENTRY = 1, KERNEL_SYSCALL_EXIT = 2, KERNEL_SYSCALL_SECCOMP = 3 };
struct kernel_syscall_info {
  unsigned char op;
  unsigned char pad[3];
  unsigned int arch;
  unsigned long long instruction_pointer;
  unsigned long long stack_pointer;
  union {
    struct { /* of KERNEL_SYSCALL_SECCOMP too, which has one more member */
      unsigned long long nr;
      unsigned long long args[6];
    } entry;
    struct {
      long long rval;
      unsigned char is_error;
    } exit;
  };
};

/* struct seccomp_metadata, <linux/ptrace.h>, Linux 4.16 */
struct kernel_seccomp_metadata {
  unsigned long long filter_off;
  unsigned long long flags;
};

#ifndef CLONE_UNTRACED
#define CLONE_UNTRACED 0x00800000 /* <linux/sched.h> */
#endif

enum { KERNEL_PR_SET_SECCOMP = 22 }; /* PR_SET_SECCOMP, <linux/prctl.h> */

/* The signal number of a syscall stop: SIGTRAP with the bit that PTRACE_O_TRACESYSGOOD adds (ptrace(2)). */
enum { KERNEL_SYSCALL_STOP = 5 | 0x80 };

#endif
