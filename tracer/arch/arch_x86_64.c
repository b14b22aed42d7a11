#include "arch/arch.h"

#include "base/kernel.h"

#include <errno.h>
#include <linux/audit.h>
#include <stddef.h>
#include <unistd.h>

enum { X86_64, X32, X86 };
const char *const arch_abi_names[] = {[X86_64] = "x86_64", [X86] = "x86", [X32] = "x32"};
const int arch_abi_count = 3;

enum {
  X32_SYSCALL_BIT = 0x40000000, /* __X32_SYSCALL_BIT, <asm/unistd.h> */
  USER32_CS = 0x23,             /* __USER32_CS, arch/x86/include/asm/segment.h: the code segment of 32-bit code */
};

/* The kernel reports AUDIT_ARCH_I386 by the task's TS_COMPAT, that is by how the call was made: `int 0x80` from 64-bit
   code counts as x86, as it does for seccomp. x32 calls come as AUDIT_ARCH_X86_64 with a bit set in the number. */
bool arch_decode(uint32_t audit_arch, uint64_t nr, struct arch_call *call) {
  call->nr = (int32_t)nr;
  switch (audit_arch) {
    case AUDIT_ARCH_I386:
      call->abi = X86;
      return true;
    case AUDIT_ARCH_X86_64:
      call->abi = X86_64;
      if (call->nr >= X32_SYSCALL_BIT) { /* negative numbers are nobody's: left as they are */
        call->abi = X32;
        call->nr &= ~X32_SYSCALL_BIT;
      }
      return true;
    default:
      return false;
  }
}

/* Numbers from <asm/unistd_64.h> (x32 shares them) and <asm/unistd_32.h>. */
enum arch_clone arch_clone_kind(const struct arch_call *call) {
  if (call->nr == 435) return ARCH_CLONE3; /* the same number for every ABI */
  if (call->abi == X86) {
    switch (call->nr) {
      case 120:
        return ARCH_CLONE_FLAGS_FIRST;
      case 2:   /* fork */
      case 190: /* vfork */
        return ARCH_FORK;
      default:
        return ARCH_NO_CLONE;
    }
  }
  switch (call->nr) {
    case 56:
      return ARCH_CLONE_FLAGS_FIRST;
    case 57: /* fork */
    case 58: /* vfork */
      return ARCH_FORK;
    default:
      return ARCH_NO_CLONE;
  }
}

uint32_t arch_audit(int abi) { return abi == X86 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64; }
uint32_t arch_number_base(int abi) { return abi == X32 ? X32_SYSCALL_BIT : 0; }

/* struct pt_regs has the order of user_regs_struct as far as orig_ax (arch/x86/include/asm/ptrace.h). struct task_struct
   begins with struct thread_info: unsigned long flags, unsigned long syscall_work (since Linux 5.11), u32 status, with
   TS_COMPAT in it (arch/x86/include/asm/thread_info.h). */
const struct arch_kernel arch_kernel = {
    .regs_number = offsetof(struct user_regs_struct, orig_rax),
    .regs_end = offsetof(struct user_regs_struct, orig_rax),
    .regs_arguments = {offsetof(struct user_regs_struct, rdi), offsetof(struct user_regs_struct, rsi),
                       offsetof(struct user_regs_struct, rdx), offsetof(struct user_regs_struct, r10),
                       offsetof(struct user_regs_struct, r8), offsetof(struct user_regs_struct, r9)},
    .regs_compat_arguments = {offsetof(struct user_regs_struct, rbx), offsetof(struct user_regs_struct, rcx),
                              offsetof(struct user_regs_struct, rdx), offsetof(struct user_regs_struct, rsi),
                              offsetof(struct user_regs_struct, rdi), offsetof(struct user_regs_struct, rbp)},
    .mode_offset = 16,
    .mode_compat = 0x2,
    .native = X86_64,
    .compat = X86,
    .alternate = X32,
    .alternate_bit = X32_SYSCALL_BIT,
    .prctl = 157,
    .seccomp = 317,
    .compat_prctl = 172,
    .compat_seccomp = 354,
};

/* getppid, and getpid in the other ABIs. A kernel without x32 knows no such call, but sees it. */
const struct arch_call arch_samples[] = {{X86_64, 110}, {X32, 39}, {X86, 20}};
const int arch_sample_count = 3;
const bool arch_samples_end = false;
void arch_prepare_samples(void) {}

/* The sixth argument belongs into rbp, which the compiler may want to keep for itself. r8 to r11 are lost before Linux 4.17. */
static void call_x86(long number, const uint64_t arguments[6]) {
  uint64_t sixth = arguments[5];
  __asm__ volatile("xchg %%rbp, %[sixth]\n\tint $0x80\n\txchg %%rbp, %[sixth]"
                   : "+a"(number), [sixth] "+r"(sixth)
                   : "b"(arguments[0]), "c"(arguments[1]), "d"(arguments[2]), "S"(arguments[3]), "D"(arguments[4])
                   : "r8", "r9", "r10", "r11", "memory");
}

bool arch_sample_arguments(int index, uint64_t arguments[6]) {
  for (int i = 0; i < 6; i++) arguments[i] = (uint64_t)(i + 1) * 0x1111111110000001 + (uint64_t)index * 0x100;
  return true;
}

void arch_make_sample(int index) {
  uint64_t a[6];
  long number = arch_samples[index].nr;
  arch_sample_arguments(index, a);
  switch (arch_samples[index].abi) {
    case X86_64:
      syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
      break;
    case X32:
      syscall(X32_SYSCALL_BIT | number, a[0], a[1], a[2], a[3], a[4], a[5]);
      break;
    case X86:
      call_x86(number, a);
  }
}

/* PTRACE_GETREGS of a 64-bit tracer gives the 64-bit layout for 32-bit tracees too (GETREGSET would not). */
int arch_get_registers(pid_t tid, struct arch_registers *registers) {
  return (int)ptrace(PTRACE_GETREGS, tid, NULL, &registers->native);
}

int arch_set_registers(pid_t tid, const struct arch_registers *registers) {
  return (int)ptrace(PTRACE_SETREGS, tid, NULL, &registers->native);
}

bool arch_is_compat(const struct arch_registers *registers) { return registers->native.cs == USER32_CS; }
uint64_t arch_instruction_pointer(const struct arch_registers *registers) { return registers->native.rip; }
uint64_t arch_stack_pointer(const struct arch_registers *registers) { return registers->native.rsp; }

struct arch_instruction arch_call_instruction(bool compat) {
  static const struct arch_instruction syscall_instruction = {{0x0f, 0x05}, 2, 1}, int_80 = {{0xcd, 0x80}, 2, 1};
  return compat ? int_80 : syscall_instruction;
}

uint64_t arch_spare_place(const struct arch_registers *registers) { return registers->native.rip & ~(uint64_t)7; }

int32_t arch_remote_number(enum arch_remote_call call, bool compat) {
  switch (call) {
    case ARCH_CALL_MMAP:
      return compat ? 192 /* mmap2 */ : 9;
    case ARCH_CALL_MUNMAP:
      return compat ? 91 : 11;
    case ARCH_CALL_PRCTL:
      return compat ? 172 : 157;
    case ARCH_CALL_SECCOMP:
      return compat ? 354 : 317;
  }
  return -1;
}

void arch_prepare_call(struct arch_registers *registers, uint64_t instruction, int32_t nr, const uint64_t arguments[6]) {
  struct user_regs_struct *r = &registers->native;
  /* orig_rax = -1 tells the kernel "not in a system call": without it, on the way to user mode, the kernel might restart
     the call that the tracee was stopped in, and move the instruction pointer back over our instruction. */
  bool compat = arch_is_compat(registers);
  r->orig_rax = (unsigned long long)-1;
  r->rax = (uint64_t)(int64_t)nr;
  r->rip = instruction;
  if (compat) {
    r->rbx = arguments[0], r->rcx = arguments[1], r->rdx = arguments[2];
    r->rsi = arguments[3], r->rdi = arguments[4], r->rbp = arguments[5];
  } else {
    r->rdi = arguments[0], r->rsi = arguments[1], r->rdx = arguments[2];
    r->r10 = arguments[3], r->r8 = arguments[4], r->r9 = arguments[5];
  }
}

void arch_refuse_call(pid_t tid) {
  struct user_regs_struct r;
  if (ptrace(PTRACE_GETREGS, tid, NULL, &r) != 0) return;
  r.orig_rax = (unsigned long long)-1; /* no call (ptrace(2), seccomp(2) on SECCOMP_RET_TRACE) */
  r.rax = (unsigned long long)-ENOSYS;
  ptrace(PTRACE_SETREGS, tid, NULL, &r);
}
