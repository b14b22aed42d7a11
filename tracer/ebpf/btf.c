#include "ebpf/btf.h"

#include <fcntl.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH = 8 /* unnamed structures in one another */ };

static bool read_all(struct btf *btf) {
  int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
  off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
  if (end > 0 && lseek(fd, 0, SEEK_SET) == 0) btf->data = malloc((size_t)end);
  while (btf->data && btf->size < (size_t)end) {
    ssize_t got = read(fd, btf->data + btf->size, (size_t)end - btf->size);
    if (got <= 0) break;
    btf->size += (size_t)got;
  }
  if (fd >= 0) close(fd);
  return btf->size > sizeof(struct btf_header);
}

/* Bytes of a type, -1: a kind that is not known. */
static int size_of(const struct btf_type *type) {
  int members = (int)BTF_INFO_VLEN(type->info);
  switch (BTF_INFO_KIND(type->info)) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG:
      return (int)sizeof *type + 4;
    case BTF_KIND_ARRAY:
      return (int)sizeof *type + 12;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_DATASEC:
    case BTF_KIND_ENUM64:
      return (int)sizeof *type + 12 * members;
    case BTF_KIND_ENUM:
    case BTF_KIND_FUNC_PROTO:
      return (int)sizeof *type + 8 * members;
    case BTF_KIND_PTR:
    case BTF_KIND_FWD:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC:
    case BTF_KIND_FLOAT:
    case BTF_KIND_TYPE_TAG:
      return (int)sizeof *type;
    default:
      return -1;
  }
}

/* Ids count from 1; what none of them has is 0. */
static bool index_types(struct btf *btf, size_t from, size_t to) {
  uint32_t *types = calloc((to - from) / sizeof(struct btf_type) + 1, sizeof *types);
  if (!types) return false;
  btf->types = types;
  for (size_t at = from; at + sizeof(struct btf_type) <= to;) {
    int size = size_of((const struct btf_type *)(btf->data + at));
    if (size < 0 || at + (size_t)size > to) return false;
    types[++btf->count] = (uint32_t)at;
    at += (size_t)size;
  }
  return true;
}

bool btf_open(struct btf *btf) {
  *btf = (struct btf){0};
  if (read_all(btf)) {
    const struct btf_header *header = (const struct btf_header *)btf->data;
    size_t types = (size_t)header->hdr_len + header->type_off, strings = (size_t)header->hdr_len + header->str_off;
    bool good = header->magic == BTF_MAGIC && types + header->type_len <= btf->size && types % 4 == 0 &&
                strings + header->str_len <= btf->size && header->str_len > 0 &&
                btf->data[strings + header->str_len - 1] == 0;
    btf->strings = btf->data + strings;
    btf->strings_size = header->str_len;
    if (good && index_types(btf, types, types + header->type_len)) return true;
  }
  btf_close(btf);
  return false;
}

void btf_close(struct btf *btf) {
  free(btf->data);
  free((void *)btf->types);
  *btf = (struct btf){0};
}

static const struct btf_type *type_of(const struct btf *btf, uint32_t id) {
  return id > 0 && id <= btf->count ? (const struct btf_type *)(btf->data + btf->types[id]) : NULL;
}

static const char *name_of(const struct btf *btf, uint32_t offset) {
  return offset < btf->strings_size ? btf->strings + offset : "";
}

static bool is_composite(const struct btf_type *type) {
  return BTF_INFO_KIND(type->info) == BTF_KIND_STRUCT || BTF_INFO_KIND(type->info) == BTF_KIND_UNION;
}

static int find_member(const struct btf *btf, const struct btf_type *type, const char *member, int depth) {
  const struct btf_member *members = (const struct btf_member *)(type + 1);
  for (uint32_t i = 0; i < BTF_INFO_VLEN(type->info); i++) {
    const char *name = name_of(btf, members[i].name_off);
    uint32_t bits = BTF_INFO_KFLAG(type->info) ? BTF_MEMBER_BIT_OFFSET(members[i].offset) : members[i].offset;
    if (strcmp(name, member) == 0) return (int)(bits / 8);
    const struct btf_type *inner = type_of(btf, members[i].type);
    if (*name || !inner || !is_composite(inner) || depth == DEPTH) continue;
    int offset = find_member(btf, inner, member, depth + 1);
    if (offset >= 0) return (int)(bits / 8) + offset;
  }
  return -1;
}

int btf_member(const struct btf *btf, const char *structure, const char *member) {
  for (uint32_t id = 1; id <= btf->count; id++) {
    const struct btf_type *type = type_of(btf, id);
    if (BTF_INFO_KIND(type->info) == BTF_KIND_STRUCT && strcmp(name_of(btf, type->name_off), structure) == 0)
      return find_member(btf, type, member, 0);
  }
  return -1;
}
