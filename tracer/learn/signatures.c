#include "learn/signatures.h"

#include "base/message.h"
#include "base/procfs.h"
#include "learn/combinations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_FILE = 1 << 20 };

static char *word(char **rest) { return strtok_r(NULL, " ", rest); }

static bool parse_line(struct signatures *signatures, char *line) {
  char *rest, *abi_name = strtok_r(line, " ", &rest), *number = word(&rest), *id = word(&rest), *name = word(&rest);
  int abi = abi_name ? combinations_abi(abi_name, strlen(abi_name)) : -1;
  unsigned long nr = number ? strtoul(number, NULL, 10) : SIGNATURES_NUMBERS;
  if (abi < 0 || nr >= SIGNATURES_NUMBERS || !name) return false;
  struct signature *signature = &signatures->of[abi][nr];
  *signature = (struct signature){.name = name, .id = (unsigned)strtoul(id, NULL, 10)};
  for (char *letter; (letter = word(&rest)); signature->count++) {
    char *argument = word(&rest);
    if (!argument || letter[1] || signature->count == 6) return false;
    signature->arguments[signature->count].letter = *letter;
    signature->arguments[signature->count].name = argument;
  }
  return true;
}

bool signatures_load(struct signatures *signatures, const char *path) {
  char *text = malloc(SIZE_MAX_FILE); /* the names stay where they are */
  ssize_t length = text ? procfs_read(path, text, SIZE_MAX_FILE) : -1;
  if (length < 0) {
    message_fail("cannot read %s: %s", path, strerror(errno));
    return false;
  }
  char *rest = text;
  for (char *line; (line = strsep(&rest, "\n"));) {
    if (*line && !parse_line(signatures, line)) {
      message_fail("%s: expected lines ABI NUMBER ID NAME [LETTER NAME]...", path);
      return false;
    }
  }
  return true;
}

const struct signature *signatures_find(const struct signatures *signatures, const struct arch_call *call) {
  if ((uint32_t)call->nr >= SIGNATURES_NUMBERS) return NULL;
  const struct signature *signature = &signatures->of[call->abi][call->nr];
  return signature->name ? signature : NULL;
}
