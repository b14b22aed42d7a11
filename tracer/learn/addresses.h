/* Addresses of sockets, as calls take them. */
#ifndef ADDRESSES_H
#define ADDRESSES_H

#include "learn/facts.h"

#include <sys/types.h>

enum { ADDRESSES_SIZE = 128 /* struct sockaddr_storage, <linux/socket.h> */ };

/* Record one address; one that no kernel takes is none. */
void addresses_record(struct facts *facts, pid_t tid, enum facts_kind kind, const void *address, size_t length,
                      enum facts_outcome outcome);

/* Where the address is that a struct msghdr names; `compat`: it is one of a 32-bit ABI. False: it cannot be read. */
bool addresses_of_header(pid_t tid, uint64_t header, bool compat, uint64_t *address, uint32_t *length);

/* Record the addresses of a sendmmsg(2) that has ended with `result`. */
void addresses_of_messages(pid_t tid, uint64_t vector, uint64_t messages, bool compat, int64_t result, bool failed,
                           struct facts *facts);

#endif
