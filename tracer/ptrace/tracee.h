/* A tracee's memory, and where its files are. */
#ifndef TRACEE_H
#define TRACEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { TRACEE_PATH_MAX = 4096 /* PATH_MAX of <linux/limits.h>: with the NUL, what the kernel takes of a path */ };

/* What was captured of a task when its call ended, in place of the task itself: these functions look there until they are given NULL. */
enum { TRACEE_MEMORY = 32, TRACEE_LINKS = 4 };
struct tracee_capture {
  unsigned memories, links;
  struct {
    uint64_t address;
    const char *data;
    size_t length;
  } memory[TRACEE_MEMORY]; /* a string has its NUL, unless it is too long */
  struct {
    char name[16]; /* as of tracee_link() */
    const char *path;
  } link[TRACEE_LINKS];
};
void tracee_use(const struct tracee_capture *capture);

/* Read up to `size` bytes. Returns how many could be read before the first page that cannot. */
size_t tracee_read(pid_t tid, uint64_t address, void *buffer, size_t size);

enum tracee_string { TRACEE_OK, TRACEE_UNREADABLE, TRACEE_LONG };

/* Read a string as the kernel does with a path. */
enum tracee_string tracee_path(pid_t tid, uint64_t address, char text[TRACEE_PATH_MAX]);

/* Where /proc/TID/NAME leads ("cwd", "root", "fd/3"), in the view of the tracee's mount namespace. This asks the kernel for a name
   that it knows, and never a file system. False: it cannot be read. */
bool tracee_link(pid_t tid, const char *name, char text[TRACEE_PATH_MAX]);

/* A path in its one form: absolute, without . and .. and empty components; process ids below /proc as PID and TID. `text` is at
   most TRACEE_PATH_MAX - 1 long; false: it would be longer. */
struct tracee_name {
  char text[TRACEE_PATH_MAX];
  size_t length;
  bool folded; /* a .. was taken by text */
};

/* `base`: an absolute path, or "" for the root. */
bool tracee_name(struct tracee_name *name, const char *base, const char *path);

#endif
