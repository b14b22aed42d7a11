/*
 * In place of libseccomp's hash.c, a MurmurHash3: its values only say which blocks of a program may be equal, before these are compared.
 * Eight bytes at a time, as an interpreter counts operations.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hash.h"

/* 2^64 divided by the golden ratio: a factor that spreads each bit over all above it. */
#define SPREAD 0x9e3779b97f4a7c15

uint32_t hash(const void *key, size_t length)
{
  const unsigned char *bytes = key;
  uint64_t value = length, word;

  for (; length >= sizeof(word); length -= sizeof(word), bytes += sizeof(word)) {
    memcpy(&word, bytes, sizeof(word));
    value = (value ^ word) * SPREAD;
    value ^= value >> 32;
  }
  for (; length > 0; length--, bytes++) {
    value = (value ^ *bytes) * SPREAD;
    value ^= value >> 32;
  }
  return (uint32_t)value;
}
