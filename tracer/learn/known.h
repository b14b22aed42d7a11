/* The list of calls that earlier runs have seen. */
#ifndef KNOWN_H
#define KNOWN_H

#include "filters/allow.h"

/* Read lines of an ABI's name and a number ("x86_64 0"); lines that begin with # say nothing. Numbers that are too large for `allow` are
   left out, and so watched. On failure a message has been printed. */
bool known_load(struct allow *allow, const char *path);

#endif
