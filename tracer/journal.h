/* The journal of enforce: a refusal of the hook, and what became of the filters after it had returned. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdbool.h>
#include <sys/types.h>

/* path NULL: no journal. container: its id, in every line, or NULL. False with errno if the file cannot be opened. */
bool journal_open(const char *path, const char *container);

void journal_write(const char *event, pid_t pid, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
