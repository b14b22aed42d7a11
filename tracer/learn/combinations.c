#include "learn/combinations.h"

#include <stdlib.h>
#include <string.h>

int combinations_abi(const char *name, size_t length) {
  for (int abi = 0; abi < arch_abi_count; abi++) {
    if (strlen(arch_abi_names[abi]) == length && memcmp(arch_abi_names[abi], name, length) == 0) return abi;
  }
  return -1;
}

bool combinations_parse(struct combinations *combinations, const char *text) {
  for (;;) {
    const char *colon = strchr(text, ':');
    int abi = colon ? combinations_abi(text, (size_t)(colon - text)) : -1;
    if (abi < 0 || colon[1] < '0' || colon[1] > '9') return false;
    char *end;
    unsigned long number = strtoul(colon + 1, &end, 10);
    if (*end != ':' || end[1] < '0' || end[1] > '9' || number >= COMBINATIONS_NUMBERS) return false;
    unsigned long mask = strtoul(end + 1, &end, 10);
    if (mask == 0 || mask > 0x3f || (*end != ',' && *end != 0)) return false;
    combinations->recorded[abi][number] = (uint8_t)mask;
    combinations->wanted = true;
    if (*end == 0) return true;
    text = end + 1;
  }
}

uint8_t combinations_of(const struct combinations *combinations, const struct arch_call *call) {
  return (uint32_t)call->nr < COMBINATIONS_NUMBERS ? combinations->recorded[call->abi][call->nr] : 0;
}

static struct arch_call call_of(const struct combination *combination) {
  uint32_t call = combination->call - 1;
  return (struct arch_call){.abi = (int)(call / COMBINATIONS_NUMBERS), .nr = (int32_t)(call % COMBINATIONS_NUMBERS)};
}

static void add_list(struct text *line, const char *key, uint8_t recorded, const uint32_t *values) {
  const char *separator = "";
  text_format(line, ",\"%s\":[", key);
  for (unsigned i = 0; i < 6; i++) {
    if (!(recorded >> i & 1)) continue;
    text_format(line, "%s%u", separator, values ? values[i] : i);
    separator = ",";
  }
  text_bytes(line, "]", 1);
}

static void begin_line(struct text *line, const char *event, const struct arch_call *call) {
  text_format(line, "{\"event\":\"%s\",\"arch\":\"%s\",\"nr\":%d", event, arch_abi_names[call->abi], call->nr);
}

static void write_combination(struct combinations *combinations, struct stream *stream,
                              struct combination *combination) {
  char buffer[256];
  struct text line = TEXT_ON(buffer);
  struct arch_call call = call_of(combination);
  uint8_t recorded = combinations_of(combinations, &call);
  begin_line(&line, "arguments", &call);
  add_list(&line, "arguments", recorded, NULL);
  add_list(&line, "values", recorded, combination->values);
  text_bytes(&line, "}", 1);
  combination->written = stream_line(stream, &line);
}

static void write_full(struct stream *stream, const struct arch_call *call) {
  char buffer[128];
  struct text line = TEXT_ON(buffer);
  begin_line(&line, "arguments-full", call);
  text_bytes(&line, "}", 1);
  stream_line(stream, &line);
}

void combinations_overflow(struct combinations *combinations, struct stream *stream, const struct arch_call *call) {
  uint16_t *seen = &combinations->seen[call->abi][call->nr];
  if (*seen > COMBINATIONS_OF_ONE) return;
  *seen = COMBINATIONS_OF_ONE + 1;
  write_full(stream, call);
}

bool combinations_any(const struct combinations *combinations, const struct arch_call *call) {
  return combinations->seen[call->abi][call->nr] > 0;
}

/* The combination's place, or the free place where it belongs. Free places are always left. */
static struct combination *place_of(struct combinations *combinations, const struct combination *wanted) {
  uint32_t hash = wanted->call;
  for (int i = 0; i < 6; i++) hash = (hash ^ wanted->values[i]) * 0x9e3779b1u; /* 2^32 / the golden ratio */
  for (uint32_t at = hash >> 17;; at++) {
    struct combination *place = &combinations->places[at % COMBINATIONS_PLACES];
    if (place->call == 0) return place;
    if (place->call == wanted->call && memcmp(place->values, wanted->values, sizeof wanted->values) == 0) return place;
  }
}

void combinations_record(struct combinations *combinations, struct stream *stream, const struct arch_call *call,
                         const unsigned long long values[6]) {
  uint8_t recorded = combinations_of(combinations, call);
  if (recorded == 0) return;
  uint16_t *seen = &combinations->seen[call->abi][call->nr];
  if (*seen > COMBINATIONS_OF_ONE) return;
  struct combination wanted = {.call = (uint32_t)call->abi * COMBINATIONS_NUMBERS + (uint32_t)call->nr + 1};
  for (int i = 0; i < 6; i++) {
    if (recorded >> i & 1) wanted.values[i] = (uint32_t)values[i];
  }
  struct combination *place = place_of(combinations, &wanted);
  if (place->call != 0) return;
  if (*seen == COMBINATIONS_OF_ONE || combinations->used >= COMBINATIONS_MOST) {
    combinations_overflow(combinations, stream, call);
    return;
  }
  ++*seen;
  combinations->used++;
  *place = wanted;
  write_combination(combinations, stream, place);
}

void combinations_finish(struct combinations *combinations, struct stream *stream) {
  if (!combinations->wanted) return;
  for (int i = 0; i < COMBINATIONS_PLACES; i++) {
    struct combination *place = &combinations->places[i];
    if (place->call != 0 && !place->written) write_combination(combinations, stream, place);
  }
}
