/* What was seen: a count for each system call, and the lines about it. */
#ifndef RECORD_H
#define RECORD_H

#include "arch/arch.h"
#include "learn/stream.h"

enum {
  RECORD_NUMBERS = 1024, /* numbers below this have a place of their own; Linux 6.18 uses up to 547 (x32) */
  RECORD_ODD = 128,      /* places for other numbers, which no kernel knows, but programs may try */
};

struct record_entry {
  uint64_t count;
  uint64_t denied; /* of them, by a filter; only known where record_total() says so */
  bool written; /* its "seen" line is in the file */
};

struct record {
  struct stream *stream;
  struct record_entry regular[ARCH_ABIS_MAX][RECORD_NUMBERS];
  struct {
    struct arch_call call;
    struct record_entry entry;
  } odd[RECORD_ODD];
  int odd_used;
  uint64_t calls;    /* all that were counted */
  uint64_t distinct; /* (ABI, number) pairs */
  uint64_t lost;     /* calls without a place */
  uint64_t quiet;    /* calls since the last first sight */
};

/* Count a call. At its first sight the line is written before this returns, and so before the call is executed. */
void record_call(struct record *record, const struct arch_call *call);

/* The same for a backend that counts by itself: the call was made `count` times so far, and `denied` of them were denied. */
void record_total(struct record *record, const struct arch_call *call, uint64_t count, uint64_t denied);

/* Write "seen" lines that failed before, then a "count" line for each call. */
void record_finish(struct record *record);

#endif
