/* Who makes a call, as a part of an event: `"threadStartTime":...,"containerId":"..."`. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <sys/types.h>

/* In memory that the caller frees; NULL: there is none. What is not known is 0, "" or -1. */
char *identity_of(pid_t tid, const char *container);

#endif
