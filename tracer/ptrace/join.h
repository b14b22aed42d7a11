/* A runtime that puts a process into a container (`runc exec`, `crun exec`): who of its processes has gone there? */
#ifndef JOIN_H
#define JOIN_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct join {
  pid_t runtime;   /* becomes the runtime, by execve; 0: nobody joins */
  pid_t container; /* the container's init */
  int held;        /* the runtime's mount namespace, kept open so that its number stays its own */
  dev_t device;
  ino_t inode;
};

/* Look at both processes, before the runtime can have left its mount namespace. NULL, or what is wrong, with errno in *error
   (0: none). */
const char *join_begin(struct join *join, int *error);

/* Every container has a mount namespace of its own, and joining it is what makes a process one of the container's. Whoever is
   not where the runtime began counts as gone there: to compare with the namespace of the container's init would let a
   process pass if that one, which the container controls, is given another namespace in the meantime. A process that is ending
   has none any more, and will not execute anything. */
enum join_place { JOIN_HOME, JOIN_INSIDE, JOIN_ENDING, JOIN_UNKNOWN };
enum join_place join_place(const struct join *join, pid_t tid);

struct enforce;
struct learn;

/* enforce: hold all processes of the runtime, install the programs in those that join, see them into force at their execve,
   then let the runtime go. */
void join_guard(struct enforce *enforce);

/* learn: follow the runtime up to the execve of the process that joins, and let the others go. True: it is learn->init now, and
   stopped at PTRACE_EVENT_EXEC. False: the runtime ended without that, and the last line has been written. */
bool join_learn(struct learn *learn);

#endif
