/*
 * What libseccomp needs to live in a WebAssembly module, and the calls that JavaScript makes beside libseccomp's own.
 *
 * The module runs on no architecture at all, so "native" means nothing here but one thing: syscall numbers that a caller
 * passes are numbers of arch_def_native, translated by name for the other architectures of a filter. That pointer is
 * therefore set before each call that takes a number, to the architecture that the caller means.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <seccomp.h>

#include "arch.h"
#include "db.h"
#include "syscalls.h"

/* One place for what goes in: a name, or a rule's comparisons. Its address stays the same for the module's life. */
static union {
  char name[256];
  struct scmp_arg_cmp comparisons[ARG_COUNT_MAX];
  size_t length;
} scratch;

/* JavaScript writes the comparisons by these offsets. */
_Static_assert(sizeof(struct scmp_arg_cmp) == 24, "struct scmp_arg_cmp is 24 bytes");
_Static_assert(offsetof(struct scmp_arg_cmp, op) == 4, "op at 4");
_Static_assert(offsetof(struct scmp_arg_cmp, datum_a) == 8, "datum_a at 8");
_Static_assert(offsetof(struct scmp_arg_cmp, datum_b) == 16, "datum_b at 16");

/* There is no kernel: libseccomp's probing of one fails, and glue_start() says what is supported instead. */
long syscall(long number, ...)
{
  (void)number;
  errno = ENOSYS;
  return -1;
}

/* gen_pfc_generate() duplicates the descriptor that it gets, to close the copy. The embedder's descriptors need neither. */
int dup(int descriptor)
{
  return descriptor;
}

void *glue_scratch(void)
{
  return &scratch;
}

/*
 * To be called once, first. Returns libseccomp's version as 0x00MMmmpp, or 0 when the build took x32 for the native
 * architecture (wasm32 is ILP32, and then __x86_64__ alone is not enough).
 */
uint32_t glue_start(void)
{
  const struct scmp_version *version = seccomp_version();

  if (seccomp_arch_native() != SCMP_ARCH_X86_64)
    return 0;
  /* The highest level that seccomp_api_set() knows: no kernel can be asked what it supports, its user must know. */
  if (seccomp_api_set(7) != 0)
    return 0;
  return version->major << 16 | version->minor << 8 | version->micro;
}

/* The name of an error code (of errno.h of the libc in this module: the numbers are not Linux's). */
const char *glue_error_name(int code)
{
  switch (code < 0 ? -code : code) {
#define NAME(x) \
  case x:       \
    return #x;
    NAME(E2BIG)
    NAME(EACCES)
    NAME(ECANCELED)
    NAME(EDOM)
    NAME(EEXIST)
    NAME(EFAULT)
    NAME(EINVAL)
    NAME(ENOENT)
    NAME(ENOMEM)
    NAME(EOPNOTSUPP)
    NAME(ERANGE)
    NAME(ESRCH)
#undef NAME
  }
  return "";
}

/* The AUDIT_ARCH_ value that seccomp_data.arch has for this architecture; 0: unknown architecture. */
uint32_t glue_arch_audit(uint32_t token)
{
  const struct arch_def *arch = arch_def_lookup(token);

  return arch ? arch->token_bpf : 0;
}

/* 1: little endian; 0: big endian. */
int glue_arch_little_endian(uint32_t token)
{
  const struct arch_def *arch = arch_def_lookup(token);

  return arch && arch->endian == ARCH_ENDIAN_LITTLE;
}

/* The number by which the architecture's kernel knows the syscall named in scratch; -1: it has none. */
int glue_resolve_name(uint32_t token)
{
  const struct arch_def *arch = arch_def_lookup(token);
  int number;

  if (arch == NULL)
    return -1;
  number = arch_syscall_resolve_name(arch, scratch.name);
  /* -100 to -299 stand for calls through socketcall() and ipc(): what is the one of their own, if there is one? */
  if (number <= -100 && number > -300)
    number = (*arch->syscall_resolve_name_raw)(scratch.name);
  return number < 0 ? -1 : number;
}

/* The name of a syscall, or NULL. Stays valid. */
const char *glue_resolve_number(uint32_t token, int number)
{
  const struct arch_def *arch = arch_def_lookup(token);

  return arch && number >= 0 ? arch_syscall_resolve_num(arch, number) : NULL;
}

const char *newer_syscall_name(unsigned int index);

/* The names that some architecture has, by index from 0; NULL after the last. Stays valid. */
const char *glue_syscall_name(unsigned int index)
{
  static unsigned int table_size;
  const char *name = NULL;

  if (table_size == 0 || index < table_size)
    name = syscall_iterate(index, SYSTBL_OFFSET(x86_64))->name;
  if (name != NULL)
    return name;
  if (table_size == 0)
    table_size = index;
  return newer_syscall_name(index - table_size);
}

/* A filter for one architecture; more can be added with seccomp_arch_add(). NULL: invalid action, or no memory. */
scmp_filter_ctx glue_filter_new(uint32_t token, uint32_t action)
{
  const struct arch_def *arch = arch_def_lookup(token);

  if (arch == NULL)
    return NULL;
  arch_def_native = arch;
  return seccomp_init(action);
}

/*
 * The number for libseccomp's own calls of the syscall named in scratch: may be one of libseccomp's negative pseudo
 * numbers, as these say "socket() by whatever way this architecture has". __NR_SCMP_ERROR: unknown name.
 */
int glue_rule_number(uint32_t token)
{
  return seccomp_syscall_resolve_name_arch(token, scratch.name);
}

/* Adds a rule with count comparisons in scratch. The number is the given architecture's. */
int glue_rule_add(scmp_filter_ctx filter, uint32_t token, int exact, uint32_t action, int number, unsigned int count)
{
  const struct arch_def *arch = arch_def_lookup(token);

  if (arch == NULL)
    return -EINVAL;
  arch_def_native = arch;
  return exact ? seccomp_rule_add_exact_array(filter, action, number, count, scratch.comparisons)
               : seccomp_rule_add_array(filter, action, number, count, scratch.comparisons);
}

/*
 * Adds rules without comparisons: `syscalls` holds `count` pairs of a number, which is the given architecture's, and a priority. The filter
 * has that architecture alone. If one of them fails, it gets none.
 */
int glue_rules_add(scmp_filter_ctx filter, uint32_t token, uint32_t action, const int *syscalls, unsigned int count)
{
  struct db_filter_col *col = filter;
  const struct arch_def *arch = arch_def_lookup(token);
  int rc;

  if (arch == NULL || db_col_valid(col) != 0)
    return -EINVAL;
  rc = db_col_action_valid(col, action);
  if (rc < 0)
    return rc;
  if (action == col->attr.act_default)
    return -EACCES;
  if (col->filter_cnt > 1)
    return -EOPNOTSUPP;
  arch_def_native = arch;
  return db_col_rules_add(col, action, syscalls, count);
}

/*
 * seccomp_merge() leaves the destination's shadow (the copy to which a failing rule falls back) without the architectures
 * that it took over: a rule that fails later would drop them. An empty transaction brings the shadow up to date; should
 * memory not suffice, there is no shadow, and the next rule makes a new one.
 */
int glue_merge(scmp_filter_ctx into, scmp_filter_ctx from)
{
  int rc = seccomp_merge(into, from);

  if (rc == 0 && seccomp_transaction_start(into) == 0)
    seccomp_transaction_commit(into);
  return rc;
}

int glue_priority(scmp_filter_ctx filter, uint32_t token, int number, unsigned int priority)
{
  const struct arch_def *arch = arch_def_lookup(token);

  if (arch == NULL || priority > UINT8_MAX)
    return -EINVAL;
  arch_def_native = arch;
  return seccomp_syscall_priority(filter, number, priority);
}

/* Exports into a buffer of *length bytes, or, with NULL, only says how many bytes are needed. Returns them, or an error. */
int glue_export_bpf(scmp_filter_ctx filter, void *buffer, size_t length)
{
  int rc = seccomp_export_bpf_mem(filter, buffer, &length);

  return rc < 0 ? rc : (int)length;
}
