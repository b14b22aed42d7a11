/* podman's stage precreate, repeated. */
#ifndef PRECREATE_H
#define PRECREATE_H

#include "repeat/decision.h"

/* Print the container's configuration as the program has changed one like it before (hooks/precreate.ts). `question' is what asked->question
   points to. False: nothing was printed, and the program is to be asked. */
bool precreate(const struct asked *asked, struct question *question, const char *text, size_t length);

#endif
