/* Messages for people: what was attempted, on which object, what went wrong, what to do about it. */
#ifndef MESSAGE_H
#define MESSAGE_H

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* The sub-command's name, put before every message. Set once by main(). */
extern const char *message_command;

/* Write "oci-sandbox-tracer: COMMAND: text" to stderr with one write(2). Returns EXIT_FAILED. */
int message_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, with the hint to read --help. Returns EXIT_USAGE. */
int message_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The text of the last message of either kind; empty if there was none. */
const char *message_last(void);

/* What to do about an errno that ptrace gave when attaching; a parenthesis that begins with a space, or "". */
const char *message_attach_hint(int error);

#endif
