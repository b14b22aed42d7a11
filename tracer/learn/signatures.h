/* The names of calls and of their arguments (--signatures), which the tracer itself does not know. */
#ifndef SIGNATURES_H
#define SIGNATURES_H

#include "arch/arch.h"

enum { SIGNATURES_NUMBERS = 1024 };

struct signature {
  const char *name;
  unsigned id; /* of its event */
  unsigned count;
  struct {
    char letter; /* README.md, "learn: events" */
    const char *name;
  } arguments[6];
};

struct signatures {
  struct signature of[ARCH_ABIS_MAX][SIGNATURES_NUMBERS]; /* name NULL: not in the file */
};

/* Lines `ABI NUMBER ID NAME [LETTER NAME]...`. False: it has been said what is wrong. */
bool signatures_load(struct signatures *signatures, const char *path);

/* NULL: it has none. */
const struct signature *signatures_find(const struct signatures *signatures, const struct arch_call *call);

#endif
