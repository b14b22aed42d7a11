/* The arguments that calls were seen with: for each call that --arguments names, every combination once. */
#ifndef COMBINATIONS_H
#define COMBINATIONS_H

#include "arch/arch.h"
#include "learn/stream.h"

enum {
  COMBINATIONS_NUMBERS = 1024, /* syscall numbers that can be named; Linux 6.18 uses up to 547 (x32) */
  COMBINATIONS_OF_ONE = 4096,  /* of one call; more, and it is said that there are too many */
  COMBINATIONS_MOST = 24576,   /* of all calls together */
  COMBINATIONS_PLACES = 32768, /* places of the table for them, a power of two */
};

struct combination {
  uint32_t call; /* ABI and number, plus 1; 0: a free place */
  uint32_t values[6];
  bool written;
};

/* Large, and zero to begin with; pages that are not used are not there. */
struct combinations {
  bool wanted;
  uint8_t recorded[ARCH_ABIS_MAX][COMBINATIONS_NUMBERS]; /* bit i: argument i */
  uint16_t seen[ARCH_ABIS_MAX][COMBINATIONS_NUMBERS];    /* combinations; beyond the most: it has been said */
  struct combination places[COMBINATIONS_PLACES];
  uint32_t used;
};

/* The index of the ABI with this name; -1: none. */
int combinations_abi(const char *name, size_t length);

/* "ABI:NUMBER:MASK,...", as in x86_64:41:7 (socket: arguments 0, 1 and 2). False: it is something else. */
bool combinations_parse(struct combinations *combinations, const char *text);

/* Which arguments of the call are recorded: bit i for argument i. */
uint8_t combinations_of(const struct combinations *combinations, const struct arch_call *call);

/* To be called before the call is recorded: its line comes before the one that says that it was seen. Of each argument
   the low 32 bits count. */
void combinations_record(struct combinations *combinations, struct stream *stream, const struct arch_call *call,
                         const unsigned long long values[6]);

/* For a backend that keeps combinations by itself: the call had more than it could keep. */
void combinations_overflow(struct combinations *combinations, struct stream *stream, const struct arch_call *call);

/* Does the stream say anything about the call's arguments? */
bool combinations_any(const struct combinations *combinations, const struct arch_call *call);

/* Write the lines that failed before. */
void combinations_finish(struct combinations *combinations, struct stream *stream);

#endif
