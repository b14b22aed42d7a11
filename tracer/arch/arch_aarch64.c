#include "arch/arch.h"

#include "base/kernel.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { AARCH64, ARM };
const char *const arch_abi_names[] = {[AARCH64] = "aarch64", [ARM] = "arm"};
const int arch_abi_count = 2;

/* Whether a call is one of 32-bit ARM depends on the mode of the whole program; calls that ARM code makes are its EABI's: of the old
   ABI the kernel knows nothing (arch/arm64/kernel/syscall.c). */
bool arch_decode(uint32_t audit_arch, uint64_t nr, struct arch_call *call) {
  call->nr = (int32_t)nr;
  call->abi = audit_arch == AUDIT_ARCH_ARM ? ARM : AARCH64;
  return audit_arch == AUDIT_ARCH_ARM || audit_arch == AUDIT_ARCH_AARCH64;
}

/* Numbers from <asm-generic/unistd.h> and, for ARM, arch/arm/tools/syscall.tbl. */
enum {
  CLONE3 = 435, /* the same for both */
  CLONE = 220, MMAP = 222, MUNMAP = 215, PRCTL = 167, SECCOMP = 277, GETPPID = 173, EXECVEAT = 281,
  ARM_FORK = 2, ARM_VFORK = 190, ARM_CLONE = 120, ARM_MMAP2 = 192, ARM_MUNMAP = 91, ARM_PRCTL = 172, ARM_SECCOMP = 383,
  ARM_GETPID = 20, ARM_EXIT_GROUP = 248,
};

enum arch_clone arch_clone_kind(const struct arch_call *call) {
  if (call->nr == CLONE3) return ARCH_CLONE3;
  if (call->abi == AARCH64) return call->nr == CLONE ? ARCH_CLONE_FLAGS_FIRST : ARCH_NO_CLONE;
  switch (call->nr) {
    case ARM_CLONE:
      return ARCH_CLONE_FLAGS_FIRST;
    case ARM_FORK:
    case ARM_VFORK:
      return ARCH_FORK;
    default:
      return ARCH_NO_CLONE;
  }
}

uint32_t arch_audit(int abi) { return abi == ARM ? AUDIT_ARCH_ARM : AUDIT_ARCH_AARCH64; }
uint32_t arch_number_base(int abi) {
  (void)abi;
  return 0;
}

/* struct pt_regs begins with struct user_pt_regs (272 bytes), then come u64 orig_x0 and s32 syscallno
   (arch/arm64/include/asm/ptrace.h); r0 of an ARM program is x0. The first argument is in orig_x0 as well (el0_svc_common() in
   arch/arm64/kernel/syscall.c), and still there when x0 has the result. struct task_struct begins with struct thread_info, and that with
   unsigned long flags, with TIF_32BIT (22) in it (arch/arm64/include/asm/thread_info.h). */
enum { ORIG_X0 = sizeof(struct user_regs_struct) };
const struct arch_kernel arch_kernel = {
    .regs_number = sizeof(struct user_regs_struct) + sizeof(uint64_t),
    .regs_end = sizeof(struct user_regs_struct) + sizeof(uint64_t),
    .regs_arguments = {ORIG_X0, 8, 16, 24, 32, 40},
    .regs_compat_arguments = {ORIG_X0, 8, 16, 24, 32, 40},
    .mode_offset = 0,
    .mode_compat = 1 << 22,
    .native = AARCH64,
    .compat = ARM,
    .alternate = -1,
    .prctl = PRCTL,
    .seccomp = SECCOMP,
    .compat_prctl = ARM_PRCTL,
    .compat_seccomp = ARM_SECCOMP,
};

/* There is no instruction that makes an ARM call in 64-bit code: a small program makes two. */
const struct arch_call arch_samples[] = {{AARCH64, GETPPID}, {AARCH64, EXECVEAT}, {ARM, ARM_GETPID}, {ARM, ARM_EXIT_GROUP}};
const int arch_sample_count = 4;
const bool arch_samples_end = true;

enum { ORIGIN = 0x10000 };

static const struct {
  Elf32_Ehdr header;
  Elf32_Phdr segment;
  uint32_t code[11];
} sample = {
    .header =
        {
            .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
            .e_type = ET_EXEC,
            .e_machine = EM_ARM,
            .e_version = EV_CURRENT,
            .e_entry = ORIGIN + sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr),
            .e_phoff = sizeof(Elf32_Ehdr),
            .e_flags = EF_ARM_EABI_VER5,
            .e_ehsize = sizeof(Elf32_Ehdr),
            .e_phentsize = sizeof(Elf32_Phdr),
            .e_phnum = 1,
        },
    .segment =
        {
            .p_type = PT_LOAD,
            .p_vaddr = ORIGIN,
            .p_filesz = sizeof sample,
            .p_memsz = sizeof sample,
            .p_flags = PF_R | PF_X,
            .p_align = 0x10000,
        },
    .code =
        {
            0xe3a00011,                  /* mov r0, #0x11 */
            0xe3a01022,                  /* mov r1, #0x22, and so on */
            0xe3a02033,
            0xe3a03044,
            0xe3a04055,
            0xe3a05066,
            0xe3a07000 | ARM_GETPID,     /* mov r7, #20 */
            0xef000000,                  /* svc #0 */
            0xe3a00000,                  /* mov r0, #0 */
            0xe3a07000 | ARM_EXIT_GROUP, /* mov r7, #248 */
            0xef000000,
        },
};

static int sample_file = -1;

void arch_prepare_samples(void) {
  sample_file = (int)syscall(SYS_memfd_create, "sample", MFD_CLOEXEC);
  if (sample_file >= 0 && write(sample_file, &sample, sizeof sample) != sizeof sample) sample_file = -1;
}

/* execveat's are addresses, of its own choice; exit_group's are what getpid's have left. */
bool arch_sample_arguments(int index, uint64_t arguments[6]) {
  for (int i = 0; i < 6; i++) arguments[i] = (uint64_t)(i + 1) * (index == 0 ? 0x1111111110000001 : 0x11);
  return index == 0 || index == 2;
}

void arch_make_sample(int index) {
  static char *const none[] = {NULL};
  uint64_t a[6];
  arch_sample_arguments(index, a);
  if (index == 0) syscall(SYS_getppid, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (index != 1) return;
  syscall(SYS_execveat, sample_file, "", none, none, AT_EMPTY_PATH);
  volatile int *volatile nowhere = NULL;
  if (errno == ENOEXEC) *nowhere = 0; /* no such ABI: SIGSEGV */
  syscall(SYS_exit_group, 1);
}

static long regset(int request, pid_t tid, unsigned long which, void *data, size_t *size) {
  struct iovec iovec = {data, *size};
  long result = ptrace(request, tid, which, &iovec);
  *size = iovec.iov_len;
  return result;
}

/* NT_ARM_SYSTEM_CALL since Linux 3.18. How much the kernel has to give for NT_PRSTATUS says which mode the program has. */
int arch_get_registers(pid_t tid, struct arch_registers *registers) {
  size_t size = sizeof registers->native, number = sizeof registers->number;
  if (regset(PTRACE_GETREGSET, tid, NT_PRSTATUS, &registers->native, &size) != 0) return -1;
  registers->is_compat = size == sizeof registers->compat;
  return (int)regset(PTRACE_GETREGSET, tid, NT_ARM_SYSTEM_CALL, &registers->number, &number);
}

/* x7 (ARM: r12) reads as something else in a syscall stop, and writes to it have no effect then: the kernel puts it back
   afterwards (report_syscall() in arch/arm64/kernel/ptrace.c). So it stays as it is whether it was read in such a stop or in another, as long as
   it is written back in one of the same kind. */
int arch_set_registers(pid_t tid, const struct arch_registers *registers) {
  struct arch_registers copy = *registers;
  size_t size = copy.is_compat ? sizeof copy.compat : sizeof copy.native, number = sizeof copy.number;
  if (regset(PTRACE_SETREGSET, tid, NT_PRSTATUS, &copy.native, &size) != 0) return -1;
  return (int)regset(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &copy.number, &number);
}

enum { R0 = 0, R7 = 7, SP = 13, PC = 15, CPSR = 16 };

bool arch_is_compat(const struct arch_registers *registers) { return registers->is_compat; }

uint64_t arch_instruction_pointer(const struct arch_registers *registers) {
  return registers->is_compat ? registers->compat[PC] : registers->native.pc;
}

uint64_t arch_stack_pointer(const struct arch_registers *registers) {
  return registers->is_compat ? registers->compat[SP] : registers->native.sp;
}

/* An ARM program's call is made in ARM mode, whether it runs in Thumb mode or not. */
struct arch_instruction arch_call_instruction(bool compat) {
  static const struct arch_instruction svc = {{0x01, 0x00, 0x00, 0xd4}, 4, 4}, arm_svc = {{0x00, 0x00, 0x00, 0xef}, 4, 4};
  return compat ? arm_svc : svc;
}

/* Never the very next instruction. A tracee that was interrupted in a call stands before the svc that makes it again, and where it
   goes on from there the kernel may take another call for it, restart_syscall (do_signal() in arch/arm64/kernel/signal.c). */
uint64_t arch_spare_place(const struct arch_registers *registers) {
  return (arch_instruction_pointer(registers) & ~(uint64_t)3) ^ 4;
}

int32_t arch_remote_number(enum arch_remote_call call, bool compat) {
  switch (call) {
    case ARCH_CALL_MMAP:
      return compat ? ARM_MMAP2 : MMAP;
    case ARCH_CALL_MUNMAP:
      return compat ? ARM_MUNMAP : MUNMAP;
    case ARCH_CALL_PRCTL:
      return compat ? ARM_PRCTL : PRCTL;
    case ARCH_CALL_SECCOMP:
      return compat ? ARM_SECCOMP : SECCOMP;
  }
  return -1;
}

enum {
  BTYPE = 0xc00,                /* PSR_BTYPE_MASK, <asm/ptrace.h>: what the next instruction must be after a branch */
  THUMB = 0x20, IT = 0x600fc00, /* COMPAT_PSR_T_BIT, COMPAT_PSR_IT_MASK, arch/arm64/include/asm/ptrace.h */
};

void arch_prepare_call(struct arch_registers *registers, uint64_t instruction, int32_t nr, const uint64_t arguments[6]) {
  registers->number = -1; /* "not in a system call": nothing is restarted on the way to user mode */
  if (registers->is_compat) {
    for (int i = 0; i < 6; i++) registers->compat[R0 + i] = (uint32_t)arguments[i];
    registers->compat[R7] = (uint32_t)nr;
    registers->compat[PC] = (uint32_t)instruction;
    registers->compat[CPSR] &= ~(uint32_t)(THUMB | IT);
  } else {
    for (int i = 0; i < 6; i++) registers->native.regs[i] = arguments[i];
    registers->native.regs[8] = (uint64_t)nr;
    registers->native.pc = instruction;
    registers->native.pstate &= ~(uint64_t)BTYPE;
  }
}

void arch_refuse_call(pid_t tid) {
  struct arch_registers registers;
  if (arch_get_registers(tid, &registers) != 0) return;
  registers.number = -1; /* no call (ptrace(2), seccomp(2) on SECCOMP_RET_TRACE) */
  if (registers.is_compat) registers.compat[R0] = (uint32_t)-ENOSYS;
  else registers.native.regs[0] = (uint64_t)-ENOSYS;
  arch_set_registers(tid, &registers);
}
