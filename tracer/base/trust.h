/* Files and directories that a remembered decision rests on (src/host/identity.ts, src/host/files.ts). */
#ifndef TRUST_H
#define TRUST_H

#include "base/text.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

/* Root or we alone can change it (src/host/files.ts, distrust()). */
bool trusted_file(const struct stat *status);

/* The same of what is there now; a symbolic link is none. False also where nothing is there. */
bool trusted_directory(const char *path);

/* The path of RUN_DIRECTORY/NAME (src/host/paths.ts), where both are trusted. */
bool trusted_run_directory(const char *name, char path[PATH_MAX]);

/* Append "DEV INO SIZE MTIME CTIME\n", decimal, bytes and nanoseconds since 1970. Whoever writes to a file, or puts another
   one in its place, changes at least one of them (docs/decisions/0015-remembered-decisions.md says where not). */
void text_identity(struct text *text, const struct stat *status);

#endif
