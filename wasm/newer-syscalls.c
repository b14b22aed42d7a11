/*
 * Syscalls that came after libseccomp's table was made (Linux 6.13). Linked between that table and its users with
 * ld's --wrap, so that everything in libseccomp knows them: resolving, translating between architectures, PFC.
 *
 * Numbers: the kernel's scripts/syscall.tbl and the arch tables beside it. Since Linux 5.1 a new syscall gets the same
 * number on every architecture that libseccomp knows (x32 and MIPS add their bases to it, which libseccomp does itself).
 * When libseccomp's own table has caught up, a name here is no longer reached, and can go.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <seccomp.h>

#include "arch.h"
#include "syscalls.h"

static const struct {
  const char *name;
  int number;
  /* true: x86-64 only */
  bool x86_64_only;
} newer[] = {
  { "uprobe", 336, true },            /* Linux 6.18, arch/x86/entry/syscalls/syscall_64.tbl */
  { "open_tree_attr", 467, false },   /* Linux 6.15 */
  { "file_getattr", 468, false },     /* Linux 6.17 */
  { "file_setattr", 469, false },     /* Linux 6.17 */
  { "listns", 470, false },           /* Linux 6.19 */
  { "rseq_slice_yield", 471, false }, /* Linux 7.0 */
};
#define NEWER (sizeof(newer) / sizeof(newer[0]))

/*
 * As libseccomp does for its table: where an architecture lacks a call, a negative number that stands for its name.
 * Those of seccomp-syscalls.h end at -10251.
 */
#define PSEUDO(index) (-11000 - (int)(index))

int __real_syscall_resolve_name(const char *name, int offset);
const char *__real_syscall_resolve_num(int number, int offset);

static int number_at(unsigned int index, int offset)
{
  return newer[index].x86_64_only && offset != SYSTBL_OFFSET(x86_64) ? PSEUDO(index) : newer[index].number;
}

int __wrap_syscall_resolve_name(const char *name, int offset)
{
  int number = __real_syscall_resolve_name(name, offset);

  for (unsigned int i = 0; number == __NR_SCMP_ERROR && i < NEWER; i++)
    if (strcmp(newer[i].name, name) == 0)
      number = number_at(i, offset);
  return number;
}

const char *__wrap_syscall_resolve_num(int number, int offset)
{
  const char *name = __real_syscall_resolve_num(number, offset);

  for (unsigned int i = 0; name == NULL && i < NEWER; i++)
    if (number_at(i, offset) == number)
      name = newer[i].name;
  return name;
}

const char *newer_syscall_name(unsigned int index)
{
  return index < NEWER ? newer[index].name : NULL;
}
