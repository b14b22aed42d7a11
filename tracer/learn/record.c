#include "learn/record.h"

static void write_line(struct record *record, const struct arch_call *call, struct record_entry *entry, bool count) {
  char buffer[128];
  struct text line = TEXT_ON(buffer);
  text_format(&line, "{\"event\":\"%s\",\"arch\":\"%s\",\"nr\":%d", count ? "count" : "seen",
              arch_abi_names[call->abi], call->nr);
  if (count) text_format(&line, ",\"count\":%llu", (unsigned long long)entry->count);
  if (count && entry->denied > 0) text_format(&line, ",\"denied\":%llu", (unsigned long long)entry->denied);
  text_bytes(&line, "}", 1);
  bool written = stream_line(record->stream, &line);
  if (!count) entry->written = written;
}

static struct record_entry *odd_entry(struct record *record, const struct arch_call *call) {
  for (int i = 0; i < record->odd_used; i++) {
    if (record->odd[i].call.abi == call->abi && record->odd[i].call.nr == call->nr) return &record->odd[i].entry;
  }
  if (record->odd_used == RECORD_ODD) return NULL;
  record->odd[record->odd_used].call = *call;
  return &record->odd[record->odd_used++].entry;
}

static struct record_entry *entry_of(struct record *record, const struct arch_call *call) {
  if ((uint32_t)call->nr < RECORD_NUMBERS) return &record->regular[call->abi][call->nr];
  return odd_entry(record, call);
}

static void add(struct record *record, const struct arch_call *call, struct record_entry *entry, uint64_t count) {
  bool first = entry->count == 0;
  record->quiet += count;
  record->calls += count;
  entry->count += count;
  if (first) {
    record->distinct++;
    record->quiet = 0;
    write_line(record, call, entry, false);
  }
}

void record_call(struct record *record, const struct arch_call *call) {
  struct record_entry *entry = entry_of(record, call);
  if (entry) add(record, call, entry, 1);
  else record->lost++;
}

void record_total(struct record *record, const struct arch_call *call, uint64_t count, uint64_t denied) {
  struct record_entry *entry = entry_of(record, call);
  if (!entry) {
    record->lost++;
  } else if (count > entry->count) {
    add(record, call, entry, count - entry->count);
    entry->denied = denied;
  }
}

static void each_entry(struct record *record, void (*visit)(struct record *, const struct arch_call *,
                                                            struct record_entry *)) {
  for (int abi = 0; abi < arch_abi_count; abi++) {
    for (int nr = 0; nr < RECORD_NUMBERS; nr++) {
      struct record_entry *entry = &record->regular[abi][nr];
      if (entry->count > 0) visit(record, &(struct arch_call){.abi = abi, .nr = nr}, entry);
    }
  }
  for (int i = 0; i < record->odd_used; i++) visit(record, &record->odd[i].call, &record->odd[i].entry);
}

static void retry_seen(struct record *record, const struct arch_call *call, struct record_entry *entry) {
  if (!entry->written) write_line(record, call, entry, false);
}

static void write_count(struct record *record, const struct arch_call *call, struct record_entry *entry) {
  write_line(record, call, entry, true);
}

void record_finish(struct record *record) {
  each_entry(record, retry_seen);
  each_entry(record, write_count);
}
