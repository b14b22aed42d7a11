#include "learn/known.h"

#include "base/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find_abi(const char *name, size_t length) {
  for (int abi = 0; abi < arch_abi_count; abi++) {
    if (strlen(arch_abi_names[abi]) == length && strncmp(arch_abi_names[abi], name, length) == 0) return abi;
  }
  return -1;
}

static bool parse_line(struct allow *allow, const char *line) {
  size_t length = strcspn(line, " ");
  int abi = find_abi(line, length);
  if (abi < 0 || line[length] != ' ') return false;
  const char *digits = line + length + 1;
  char *end;
  errno = 0;
  unsigned long number = strtoul(digits, &end, 10);
  if (*digits < '0' || *digits > '9' || strcmp(end, "\n") != 0 || errno || number > INT32_MAX) return false;
  if (number < ALLOW_NUMBERS) allow->pass[abi][number] = true;
  return true;
}

bool known_load(struct allow *allow, const char *path) {
  char line[128];
  FILE *file = fopen(path, "re");
  if (!file) {
    message_fail("cannot open the list of known calls %s: %s", path, strerror(errno));
    return false;
  }
  bool good = true;
  for (unsigned number = 1; good && fgets(line, sizeof line, file); number++) {
    good = line[0] == '#' || parse_line(allow, line);
    if (!good) message_fail("list of known calls %s, line %u: expected an ABI and a number, as in: x86_64 0", path, number);
  }
  if (good && ferror(file)) {
    message_fail("cannot read the list of known calls %s: %s", path, strerror(errno));
    good = false;
  }
  fclose(file);
  return good;
}
