/* The traced tasks (threads), by thread id: a hash table with open addressing. It grows with the number of tasks that
   live at the same time. */
#ifndef TASKS_H
#define TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct task {
  pid_t tid;     /* 0: the slot is free */
  bool inside;   /* its last report was a syscall's entry, so that its next syscall stop is the exit */
  bool cloning;  /* between entry and exit of a clone-like call */
  bool born;     /* that call has given a PTRACE_EVENT: its child is traced */
  bool untraced; /* that call asked for CLONE_UNTRACED */
  struct intent *intent; /* what a call under way does if it succeeds (paths.c); freed with the task */
  struct event *event;   /* a call under way (events.c); freed with the task */
  char *identity;        /* who makes it, as a part of an event; freed with the task */
  /* With filters (filtered.c): */
  bool filtered; /* our filter stops it, so that it may run on until then */
  bool unsure;   /* it was given the filter while it ran, and has not stopped since */
  bool plain;    /* it is stopped at each call, with our filter or without */
  bool foreign;  /* a hook of the runtime's: followed, as it has our filter, but not recorded */
};

struct tasks {
  struct task *slots;
  size_t capacity; /* a power of two */
  size_t count;
};

bool tasks_init(struct tasks *tasks);
struct task *tasks_find(const struct tasks *tasks, pid_t tid);

/* Find or add; NULL if there is no memory. */
struct task *tasks_add(struct tasks *tasks, pid_t tid);

/* Pointers from tasks_find and tasks_add are invalid after tasks_add, tasks_remove and tasks_keep. */
void tasks_remove(struct tasks *tasks, pid_t tid);

/* Remove every task for which keep() is false. */
void tasks_keep(struct tasks *tasks, bool (*keep)(pid_t tid, void *context), void *context);

#endif
