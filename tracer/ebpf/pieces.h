/* What the capturing programs send, put together again. */
#ifndef EBPF_PIECES_H
#define EBPF_PIECES_H

#include "ebpf/ebpf.h"
#include "ptrace/tracee.h"

/* Map the ring. False: it cannot be. */
bool ebpf_pieces_open(struct ebpf *ebpf);

/* For each call that was captured; the functions of tracee.h then tell what of. `end` has the call's slot, result and arguments. */
typedef void ebpf_take(void *context, const struct ebpf_capture *end);

/* Read all that is there. Returns whether there was something. */
bool ebpf_pieces_read(struct ebpf *ebpf, ebpf_take *take, void *context);

/* Calls that were captured and could not be read: there was no room in the ring, or no memory. */
uint64_t ebpf_pieces_lost(const struct ebpf *ebpf);

/* Those so far do not count. */
void ebpf_pieces_forget(struct ebpf *ebpf);

#endif
