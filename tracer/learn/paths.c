#include "learn/paths.h"

#include "learn/combinations.h"
#include "learn/intent.h"
#include "ptrace/tracee.h"

#include <stdlib.h>
#include <string.h>

static bool parse_operand(const char *text, struct paths_operand *operand) {
  if (!*text || !strchr("oOtwchdxlbksmMq", *text)) return false;
  operand->letter = *text;
  for (int i = 0; i < 3; i++) {
    char place = text[i + 1];
    if (place != '-' && (place < '0' || place > '5')) return false;
    operand->places[i] = place == '-' ? -1 : (int8_t)(place - '0');
  }
  return true;
}

static bool parse_shape(const char *text, size_t length, struct paths_shape *shape) {
  *shape = (struct paths_shape){0};
  for (size_t at = 0; at < length; at += 5) {
    if (shape->count == PATHS_OPERANDS || at + 4 > length || !parse_operand(text + at, &shape->operands[shape->count++]))
      return false;
    if (at + 4 < length && text[at + 4] != '+') return false;
  }
  return shape->count > 0 && length % 5 == 4;
}

static int index_of(struct paths *paths, const struct paths_shape *shape) {
  unsigned i = 0;
  while (i < paths->used && memcmp(&paths->kinds[i], shape, sizeof *shape) != 0) i++;
  if (i == PATHS_SHAPES) return -1;
  if (i == paths->used) paths->kinds[paths->used++] = *shape;
  return (int)i;
}

bool paths_parse(struct paths *paths, const char *text) {
  for (;;) {
    struct paths_shape shape;
    size_t length = strcspn(text, ":");
    int abi = combinations_abi(text, length);
    if (abi < 0 || text[length] != ':') return false;
    char *end;
    const char *number = text + length + 1;
    unsigned long nr = strtoul(number, &end, 10);
    if (*number < '0' || *number > '9' || *end != ':' || nr >= PATHS_NUMBERS) return false;
    length = strcspn(end + 1, ",");
    int index = parse_shape(end + 1, length, &shape) ? index_of(paths, &shape) : -1;
    if (index < 0) return false;
    paths->shapes[abi][nr] = (uint8_t)(index + 1);
    paths->wanted = true;
    if (!end[1 + length]) return true;
    text = end + 1 + length + 1;
  }
}

const struct paths_shape *paths_shape(const struct paths *paths, const struct arch_call *call) {
  uint8_t index = (uint32_t)call->nr < PATHS_NUMBERS ? paths->shapes[call->abi][call->nr] : 0;
  return index ? &paths->kinds[index - 1] : NULL;
}

int paths_condition(const struct paths_shape *shape) {
  return shape->count == 1 && shape->operands[0].letter == 's' ? shape->operands[0].places[1] : -1;
}

void paths_enter(struct paths *paths, struct task *task, const struct arch_call *call, const unsigned long long values[6]) {
  paths_drop(task);
  const struct paths_shape *shape = paths_shape(paths, call);
  if (!shape) return;
  int condition = paths_condition(shape);
  if (condition >= 0 && values[condition] == 0) return;
  static struct intent intent; /* large: a copy of what is used of it waits for the call's end */
  intent = (struct intent){.compat = arch_pointer_size(call->abi) == 4};
  for (unsigned i = 0; i < shape->count; i++) intent_read(&intent, task->tid, &shape->operands[i], values);
  if (intent.facts == 0) return;
  task->intent = intent_keep(&intent);
  if (!task->intent) paths->facts.left++;
}

void paths_leave(struct paths *paths, struct task *task, int64_t result, bool failed) {
  intent_record(task->intent, task->tid, result, failed, &paths->facts);
  paths_drop(task);
}

/* A script's own name has been recorded by then, as the program named it. */
void paths_executed(struct paths *paths, struct task *former, pid_t tid) {
  char exe[TRACEE_PATH_MAX];
  if (!paths->wanted) return;
  if (former && former->intent) {
    intent_record(former->intent, tid, 0, false, &paths->facts);
    paths_drop(former);
  }
  if (!tracee_link(tid, "exe", exe)) paths->facts.unreadable++;
  else if (*exe == '/') facts_program(&paths->facts, exe);
}

void paths_drop(struct task *task) {
  free(task->intent);
  task->intent = NULL;
}
