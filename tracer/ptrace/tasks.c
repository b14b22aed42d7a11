#include "ptrace/tasks.h"

#include <stdlib.h>

enum { INITIAL_CAPACITY = 256 };

bool tasks_init(struct tasks *tasks) {
  tasks->slots = calloc(INITIAL_CAPACITY, sizeof *tasks->slots);
  tasks->capacity = INITIAL_CAPACITY;
  tasks->count = 0;
  return tasks->slots != NULL;
}

/* Fibonacci hashing: thread ids come in runs, which the multiplication spreads over the table. */
static size_t home(const struct tasks *tasks, pid_t tid) {
  return (size_t)((uint32_t)tid * 2654435769u) & (tasks->capacity - 1);
}

static struct task *probe(const struct tasks *tasks, pid_t tid) {
  size_t i = home(tasks, tid);
  while (tasks->slots[i].tid != 0 && tasks->slots[i].tid != tid) i = (i + 1) & (tasks->capacity - 1);
  return &tasks->slots[i];
}

struct task *tasks_find(const struct tasks *tasks, pid_t tid) {
  struct task *slot = probe(tasks, tid);
  return slot->tid == tid ? slot : NULL;
}

static bool grow(struct tasks *tasks) {
  struct tasks bigger = {.capacity = tasks->capacity * 2, .count = tasks->count};
  bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots);
  if (!bigger.slots) return false;
  for (size_t i = 0; i < tasks->capacity; i++) {
    if (tasks->slots[i].tid != 0) *probe(&bigger, tasks->slots[i].tid) = tasks->slots[i];
  }
  free(tasks->slots);
  *tasks = bigger;
  return true;
}

struct task *tasks_add(struct tasks *tasks, pid_t tid) {
  struct task *slot = probe(tasks, tid);
  if (slot->tid == tid) return slot;
  if ((tasks->count + 1) * 2 > tasks->capacity) {
    if (!grow(tasks)) return NULL;
    slot = probe(tasks, tid);
  }
  *slot = (struct task){.tid = tid};
  tasks->count++;
  return slot;
}

/* Deletion moves later members of the run back (Knuth, TAOCP 3, 6.4, algorithm R), so that there are no tombstones. */
void tasks_remove(struct tasks *tasks, pid_t tid) {
  struct task *slot = probe(tasks, tid);
  if (slot->tid != tid) return;
  free(slot->intent);
  free(slot->event);
  free(slot->identity);
  size_t mask = tasks->capacity - 1;
  size_t hole = (size_t)(slot - tasks->slots);
  for (size_t i = (hole + 1) & mask; tasks->slots[i].tid != 0; i = (i + 1) & mask) {
    size_t distance_home = (i - home(tasks, tasks->slots[i].tid)) & mask;
    size_t distance_hole = (i - hole) & mask;
    if (distance_home >= distance_hole) {
      tasks->slots[hole] = tasks->slots[i];
      hole = i;
    }
  }
  tasks->slots[hole] = (struct task){0};
  tasks->count--;
}

void tasks_keep(struct tasks *tasks, bool (*keep)(pid_t tid, void *context), void *context) {
  for (size_t i = 0; i < tasks->capacity;) {
    pid_t tid = tasks->slots[i].tid;
    if (tid != 0 && !keep(tid, context)) tasks_remove(tasks, tid); /* may move another task into slot i: look again */
    else i++;
  }
}
