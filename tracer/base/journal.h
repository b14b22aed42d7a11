/* The journal of enforce: a refusal of the hook, and what became of the filters after it had returned. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdbool.h>
#include <sys/types.h>

enum journal_level { JOURNAL_ERROR, JOURNAL_WARNING, JOURNAL_INFO, JOURNAL_DEBUG };

/* "error", "warning", "info" or "debug". */
bool journal_parse_level(const char *text, enum journal_level *level);

/* path NULL: no journal. container: its id, in every line, or NULL. Events below the level are left out. False with errno if the
   file cannot be opened. */
bool journal_open(const char *path, const char *container, enum journal_level level);

void journal_write(const char *event, pid_t pid, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
