/* Where members of the kernel's structures lie, as the kernel says itself (/sys/kernel/btf/vmlinux, Documentation/bpf/btf.rst). */
#ifndef BTF_H
#define BTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct btf {
  char *data; /* all of the file */
  size_t size;
  const char *strings;
  size_t strings_size;
  const uint32_t *types; /* by id: offsets in data */
  uint32_t count;
};

/* False: there is none, or it is not understood. */
bool btf_open(struct btf *btf);
void btf_close(struct btf *btf);

/* The offset of a member in bytes, those of unnamed structures and unions in it included; -1: it is not there. */
int btf_member(const struct btf *btf, const char *structure, const char *member);

#endif
