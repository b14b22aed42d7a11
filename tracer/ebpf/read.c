/* What the programs have seen, from their maps into the record. */
#include "ebpf/ebpf.h"

#include <linux/bpf.h>
#include <string.h>

uint64_t ebpf_count(const struct ebpf *ebpf, int slot, uint64_t *denied) {
  const volatile struct ebpf_counts *more = ebpf->all_counts + ebpf->processors;
  uint64_t count = *denied = more[EBPF_DENIED].slots[slot];
  for (unsigned i = 0; i < ebpf->processors; i++) count += ebpf->all_counts[i].slots[slot] & ~EBPF_ARGUMENTS;
  if (count == 0) count = *denied = more[EBPF_UNSURE].slots[slot];
  return count;
}

static bool is_counted(const struct ebpf *ebpf, int slot) {
  uint64_t denied;
  return ebpf_count(ebpf, slot, &denied) > 0;
}

static struct arch_call call_of(int slot) {
  return (struct arch_call){.abi = slot / RECORD_NUMBERS, .nr = slot % RECORD_NUMBERS};
}

/* The combinations of calls that are counted already: no call is in the record with its arguments alone. */
static void read_combinations(struct ebpf *ebpf, struct record *record, struct combinations *combinations) {
  uint64_t written = ebpf->all_state->combinations;
  if (written > COMBINATIONS_MOST) written = COMBINATIONS_MOST;
  for (uint32_t i = ebpf->taken; i < written; i++) {
    volatile struct ebpf_combination *seen = &ebpf->all_combinations[i];
    if (__atomic_load_n(&seen->state, __ATOMIC_ACQUIRE) == EBPF_WRITTEN && is_counted(ebpf, (int)seen->slot)) {
      struct arch_call call = call_of((int)seen->slot);
      unsigned long long values[6];
      for (int j = 0; j < 6; j++) values[j] = seen->values[j];
      combinations_record(combinations, record->stream, &call, values);
      seen->state = EBPF_TAKEN;
    }
    if (seen->state == EBPF_TAKEN && i == ebpf->taken) ebpf->taken++;
  }
}

/* Is the call's line to wait until one with its arguments can be written? The programs count a call when they have its arguments;
   but those may be another processor's, which is about to write them. */
static bool is_early(struct ebpf *ebpf, struct record *record, struct combinations *combinations, int slot) {
  struct arch_call call = call_of(slot);
  if (!ebpf->all_wanted || !ebpf->all_wanted[slot].any) return false;
  bool overflow = ebpf->all_wanted[slot].combinations > COMBINATIONS_OF_ONE;
  if (overflow || !combinations_any(combinations, &call)) read_combinations(ebpf, record, combinations);
  if (overflow) combinations_overflow(combinations, record->stream, &call);
  return !combinations_any(combinations, &call);
}

static void read_odd(const struct ebpf *ebpf, struct record *record) {
  union bpf_attr attributes;
  uint64_t key, next;
  for (bool first = true;; first = false, key = next) {
    memset(&attributes, 0, sizeof attributes);
    attributes.map_fd = (uint32_t)ebpf->odd;
    attributes.key = first ? 0 : (uint64_t)(uintptr_t)&key;
    attributes.next_key = (uint64_t)(uintptr_t)&next;
    if (ebpf_call_kernel(BPF_MAP_GET_NEXT_KEY, &attributes) != 0) return;
    struct ebpf_odd value;
    memset(&attributes, 0, sizeof attributes);
    attributes.map_fd = (uint32_t)ebpf->odd;
    attributes.key = (uint64_t)(uintptr_t)&next;
    attributes.value = (uint64_t)(uintptr_t)&value;
    if (ebpf_call_kernel(BPF_MAP_LOOKUP_ELEM, &attributes) != 0) continue;
    struct arch_call call = {.abi = (int)(next >> 32), .nr = (int32_t)(uint32_t)next};
    record_total(record, &call, value.count + value.denied, value.denied);
  }
}

uint64_t ebpf_calls(const struct ebpf *ebpf) {
  uint64_t calls = 0;
  for (unsigned i = 0; i <= ebpf->processors + EBPF_DENIED; i++) {
    for (int slot = 0; slot < EBPF_SLOTS; slot++) calls += ebpf->all_counts[i].slots[slot] & ~EBPF_ARGUMENTS;
  }
  return calls;
}

bool ebpf_read(struct ebpf *ebpf, struct record *record, struct combinations *combinations, bool all) {
  uint64_t sights = ebpf->all_state->sights; /* before the counts: what comes meanwhile is for the next time */
  bool early = false;
  if (sights == ebpf->sights && !all && !ebpf->early) return false;
  ebpf->sights = sights;
  if (ebpf->all_wanted) read_combinations(ebpf, record, combinations);
  for (int slot = 0; slot < EBPF_SLOTS; slot++) {
    struct arch_call call = call_of(slot);
    uint64_t denied, count = ebpf_count(ebpf, slot, &denied);
    if (count == 0) continue;
    if (is_early(ebpf, record, combinations, slot)) {
      early = true;
      if (!all) continue;
      combinations_overflow(combinations, record->stream, &call); /* it is not known, so it may be any */
      record->lost++;
    }
    record_total(record, &call, count, denied);
  }
  read_odd(ebpf, record);
  return ebpf->early = early;
}
