/* The daemon that stays behind when the hook's process returns, and its report to that process. */
#ifndef DAEMON_H
#define DAEMON_H

/* Fork a daemon that executes run(), and wait until it calls daemon_ready() or daemon_refuse(), or ends. Returns the
   exit status for the calling process: 0 after daemon_ready(); otherwise the message has been printed. */
int daemon_start(void (*run)(void *context), void *context);

/* In the daemon: all is well, the hook may return. Also leaves the working directory. */
void daemon_ready(void);

/* In the daemon: the hook must fail with this message. */
_Noreturn void daemon_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
