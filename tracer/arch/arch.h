/* Everything that depends on the processor: system call ABIs, registers, the system call instruction.
   One arch_MACHINE.c implements it; nothing else names a register. */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/* The system call ABIs that a task on this machine can use, by names that the wire format and the policies use. */
enum { ARCH_ABIS_MAX = 3 };
extern const char *const arch_abi_names[];
extern const int arch_abi_count;

struct arch_call {
  int abi;    /* index into arch_abi_names */
  int32_t nr; /* in that ABI's own numbering (x32 without __X32_SYSCALL_BIT) */
};

/* From PTRACE_GET_SYSCALL_INFO's arch (AUDIT_ARCH_*) and nr. False: an ABI that this file does not know. */
bool arch_decode(uint32_t audit_arch, uint64_t nr, struct arch_call *call);

/* The size of a pointer in the structures of the ABI. */
size_t arch_pointer_size(int abi);

/* Does the call create a task, and which of its arguments tells the clone flags? */
enum arch_clone { ARCH_NO_CLONE, ARCH_FORK, ARCH_CLONE_FLAGS_FIRST, ARCH_CLONE3 };
enum arch_clone arch_clone_kind(const struct arch_call *call);

/* How an ABI shows in struct seccomp_data (<linux/seccomp.h>): its AUDIT_ARCH_*, and what is added to its numbers. ABIs with the same
   AUDIT_ARCH_* are neighbours in arch_abi_names, the lower base first. */
uint32_t arch_audit(int abi);
uint32_t arch_number_base(int abi);

/* When must a tracer that lets calls pass unseen still see this one? ARCH_WATCH_UNTRACED: if the first argument holds CLONE_UNTRACED;
   ARCH_WATCH_SET_SECCOMP: if it is PR_SET_SECCOMP. */
enum arch_watch { ARCH_WATCH_NEVER, ARCH_WATCH_ALWAYS, ARCH_WATCH_UNTRACED, ARCH_WATCH_SET_SECCOMP };
enum arch_watch arch_watch(const struct arch_call *call);

/* Does the call, with this first argument, ask for a seccomp filter? */
bool arch_sets_filter(const struct arch_call *call, uint64_t first);

/* What eBPF programs must know of this machine's kernel (ebpf/programs.c). Where something lies in the kernel's structures
   is no promise to user space, so it is tried out each time before it is relied on (ebpf/selftest.c). */
struct arch_kernel {
  int regs_number;              /* offset of the call's number in struct pt_regs */
  int regs_end;                 /* the arguments are in this many of its first bytes */
  int regs_arguments[6];        /* offsets of a native call's arguments, when it begins and when it ends */
  int regs_compat_arguments[6]; /* ... of a compat call's */
  int mode_offset;              /* offset of a 32-bit word in struct task_struct ... */
  int32_t mode_compat;          /* ... and its bits that say that the call under way is one of the compat ABI */
  int native, compat;           /* ABIs */
  int alternate;                /* the ABI of native calls with alternate_bit in their number, -1: none */
  int32_t alternate_bit;
  int prctl, seccomp; /* numbers; prctl is the smallest of these four */
  int compat_prctl, compat_seccomp;
};
extern const struct arch_kernel arch_kernel;

/* Calls of each ABI, for that trial, a native one first. arch_make_sample() makes one; SIGSEGV: this kernel has no such
   ABI. Where 64-bit code cannot make a compat call, a program is executed for those, and the process ends with it:
   arch_samples_end. arch_prepare_samples() does beforehand what takes calls of its own. arch_sample_arguments() says what arguments the
   call is made with, of which it takes no notice: other ones than the call before; false: those of this one are no trial. */
extern const struct arch_call arch_samples[];
extern const int arch_sample_count;
extern const bool arch_samples_end;
void arch_prepare_samples(void);
void arch_make_sample(int index);
bool arch_sample_arguments(int index, uint64_t arguments[6]);

/* Registers of a stopped tracee, for calls executed on its behalf. */
struct arch_registers {
#ifdef __aarch64__
  union {
    struct user_regs_struct native;
    uint32_t compat[18]; /* r0 to r15, cpsr, orig_r0 */
  };
  int32_t number; /* of the call that the tracee is in; -1: none */
  bool is_compat;
#else
  struct user_regs_struct native;
#endif
};

int arch_get_registers(pid_t tid, struct arch_registers *registers);
int arch_set_registers(pid_t tid, const struct arch_registers *registers);

/* Does the tracee execute 32-bit code? */
bool arch_is_compat(const struct arch_registers *registers);

uint64_t arch_instruction_pointer(const struct arch_registers *registers);
uint64_t arch_stack_pointer(const struct arch_registers *registers);

/* The bytes below the stack pointer that code may use without moving it. */
enum { ARCH_RED_ZONE = 128 };

/* The system call instruction of the tracee's mode, its length, and what its address must be a multiple of. */
struct arch_instruction {
  unsigned char bytes[4];
  size_t length, alignment;
};
struct arch_instruction arch_call_instruction(bool compat);

/* Where one may be written and executed if the tracee's program has none: within an aligned 64-bit word close to where the tracee
   is. */
uint64_t arch_spare_place(const struct arch_registers *registers);

enum arch_remote_call { ARCH_CALL_MMAP, ARCH_CALL_MUNMAP, ARCH_CALL_PRCTL, ARCH_CALL_SECCOMP };
int32_t arch_remote_number(enum arch_remote_call call, bool compat);

/* At a PTRACE_EVENT_SECCOMP stop: let the call fail with ENOSYS. */
void arch_refuse_call(pid_t tid);

/* Make the tracee, when let go on, execute the system call instruction at `instruction`. */
void arch_prepare_call(struct arch_registers *registers, uint64_t instruction, int32_t nr, const uint64_t arguments[6]);

#endif
