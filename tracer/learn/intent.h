/* What a call that is under way will have done to files and addresses, if it succeeds. */
#ifndef INTENT_H
#define INTENT_H

#include "learn/facts.h"
#include "learn/paths.h"
#include "ptrace/tracee.h"

enum { INTENT_FACTS = 2, INTENT_DATA = 2 * TRACEE_PATH_MAX };

struct intent_fact {
  char letter;               /* of the operand; a file's facts are 'f' */
  enum tracee_string problem;
  bool folded;
  bool opened;               /* the result is a descriptor of the file */
  uint32_t access;
  uint32_t at, length;       /* in data: a file's name, or an address */
  uint64_t vector, messages; /* of sendmmsg */
};

struct intent {
  bool compat; /* structures with pointers are those of a 32-bit ABI */
  unsigned facts;
  struct intent_fact fact[INTENT_FACTS];
  size_t used;
  char data[INTENT_DATA];
};

/* Read what the operand names; `values` are the call's arguments. */
void intent_read(struct intent *intent, pid_t tid, const struct paths_operand *operand, const unsigned long long values[6]);

/* A copy, without the space that is not used; NULL: no memory. */
struct intent *intent_keep(const struct intent *intent);

/* The call has ended. */
void intent_record(const struct intent *intent, pid_t tid, int64_t result, bool failed, struct facts *facts);

#endif
