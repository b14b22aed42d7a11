#include "filters/answer.h"

#include "arch/arch.h"

#include <linux/bpf_common.h>
#include <stdlib.h>
#include <string.h>

/* A program and its words: accumulator, index register, scratch memory. Jumps go forward only and every path ends in a return, or the kernel
   had not accepted it (bpf_check_classic(), net/core/filter.c; seccomp_check_filter(), kernel/seccomp.c). */
struct machine {
  uint32_t a, x;
  uint32_t memory[BPF_MEMWORDS];
};

static uint32_t load(const struct machine *machine, const struct sock_filter *at, const struct seccomp_data *call) {
  uint32_t word = 0;
  switch (BPF_MODE(at->code)) {
    case BPF_IMM:
      return at->k;
    case BPF_LEN:
      return sizeof *call;
    case BPF_MEM:
      return machine->memory[at->k % BPF_MEMWORDS];
    default:
      if (at->k <= sizeof *call - sizeof word) memcpy(&word, (const char *)call + at->k, sizeof word);
      return word;
  }
}

static uint32_t compute(uint32_t a, unsigned operation, uint32_t operand) {
  switch (operation) {
    case BPF_ADD:
      return a + operand;
    case BPF_SUB:
      return a - operand;
    case BPF_MUL:
      return a * operand;
    case BPF_DIV:
      return operand ? a / operand : 0;
    case BPF_OR:
      return a | operand;
    case BPF_AND:
      return a & operand;
    case BPF_XOR:
      return a ^ operand;
    case BPF_LSH:
      return operand < 32 ? a << operand : 0;
    case BPF_RSH:
      return operand < 32 ? a >> operand : 0;
    default: /* BPF_NEG */
      return -a;
  }
}

static bool holds(uint32_t a, unsigned condition, uint32_t operand) {
  switch (condition) {
    case BPF_JEQ:
      return a == operand;
    case BPF_JGT:
      return a > operand;
    case BPF_JGE:
      return a >= operand;
    default: /* BPF_JSET */
      return (a & operand) != 0;
  }
}

uint32_t answer_of(const struct sock_filter *program, int length, const struct seccomp_data *call) {
  struct machine machine = {0};
  for (int i = 0; i < length; i++) {
    const struct sock_filter *at = &program[i];
    uint32_t operand = BPF_SRC(at->code) == BPF_X ? machine.x : at->k;
    switch (BPF_CLASS(at->code)) {
      case BPF_LD:
        machine.a = load(&machine, at, call);
        break;
      case BPF_LDX:
        machine.x = load(&machine, at, call);
        break;
      case BPF_ST:
        machine.memory[at->k % BPF_MEMWORDS] = machine.a;
        break;
      case BPF_STX:
        machine.memory[at->k % BPF_MEMWORDS] = machine.x;
        break;
      case BPF_ALU:
        machine.a = compute(machine.a, BPF_OP(at->code), operand);
        break;
      case BPF_JMP:
        if (BPF_OP(at->code) == BPF_JA) i += (int)at->k;
        else i += holds(machine.a, BPF_OP(at->code), operand) ? at->jt : at->jf;
        break;
      case BPF_RET:
        return (BPF_RVAL(at->code) == BPF_A ? machine.a : at->k) & SECCOMP_RET_ACTION_FULL;
      default: /* BPF_MISC */
        if (BPF_MISCOP(at->code) == BPF_TAX) machine.x = machine.a;
        else machine.a = machine.x;
    }
  }
  return SECCOMP_RET_ALLOW; /* not to be reached: as if nothing were refused */
}

/* The call is made, made and logged, or not made. Of several programs the strictest answer counts. */
static int freedom(uint32_t answer) {
  return answer == SECCOMP_RET_ALLOW ? 2 : answer == SECCOMP_RET_LOG ? 1 : 0;
}

static int freedom_of_all(const struct filter *filters, int count, const struct seccomp_data *call) {
  int least = 2;
  for (int i = 0; i < count && least > 0; i++) {
    int one = freedom(answer_of(filters[i].instructions, filters[i].length, call));
    if (one < least) least = one;
  }
  return least;
}

/* Numbers beyond this one are those of no kernel. */
enum { NUMBERS = 1024 };

static bool wider(const struct filter *loaded, int loaded_count, const struct filter *filters, int count, struct seccomp_data *call) {
  static const uint64_t patterns[] = {0, ~0ULL, 0x5555555555555555ULL};
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    for (int argument = 0; argument < 6; argument++) call->args[argument] = patterns[i];
    if (freedom_of_all(loaded, loaded_count, call) > freedom_of_all(filters, count, call)) return true;
  }
  return false;
}

static bool any_wider(const struct filter *loaded, int loaded_count, const struct filter *filters, int count, struct seccomp_data *call) {
  for (int abi = 0; abi < arch_abi_count; abi++) {
    call->arch = arch_audit(abi);
    for (uint32_t number = 0; number < NUMBERS; number++) {
      call->nr = (int)(arch_number_base(abi) + number);
      if (wider(loaded, loaded_count, filters, count, call)) return true;
    }
  }
  return false;
}

/* As many as can be read; the others could only refuse more. */
static int read_all(pid_t tid, struct filter *loaded) {
  int count = 0;
  int installed = filters_installed(tid);
  for (int i = 0; i < installed && count < FILTERS_MAX; i++) {
    struct sock_filter *program = malloc(BPF_MAXINSNS * sizeof *program);
    bool logged;
    int length = program ? filter_read(tid, i, program, &logged) : -1;
    if (length > 0) loaded[count++] = (struct filter){.instructions = program, .length = (unsigned short)length};
    else free(program);
  }
  return count;
}

bool answer_wider(pid_t tid, const struct filter *filters, int count, uint32_t *arch, uint32_t *nr) {
  struct filter loaded[FILTERS_MAX];
  struct seccomp_data call = {0};
  int loaded_count = read_all(tid, loaded);
  bool found = any_wider(loaded, loaded_count, filters, count, &call);
  for (int i = 0; i < loaded_count; i++) free(loaded[i].instructions);
  *arch = call.arch;
  *nr = (uint32_t)call.nr;
  return found;
}
