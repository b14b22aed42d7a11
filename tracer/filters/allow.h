/* Makes seccomp programs that let some calls pass and stop the task for its tracer at all others. */
#ifndef ALLOW_H
#define ALLOW_H

#include "arch/arch.h"
#include "base/kernel.h"

enum { ALLOW_NUMBERS = 1024 /* larger numbers always stop */ };

/* What a program says to its tracer (SECCOMP_RET_DATA): tells our stops from those that a program's own filter asks for. */
enum { ALLOW_MARK = 0x0c1 };

/* Calls that may pass, by ABI and number. */
struct allow {
  bool pass[ARCH_ABIS_MAX][ALLOW_NUMBERS];
  uint8_t null[ARCH_ABIS_MAX][ALLOW_NUMBERS]; /* ... only if this argument, counted from 1, is null; 0: always */
};

/* Write the program into `program` (BPF_MAXINSNS places). Some calls are stopped for though they may pass, as the tracer has to know
   of them: those that make a child that is not traced, and those that set a filter (arch_watch()). Returns the length, or 0 if
   it would be too long. */
unsigned short allow_program(const struct allow *allow, struct sock_filter *program);

#endif
