/* SPDX-License-Identifier: Apache-2.0
 *
 * reap.h: the box's init: pid 1, which starts the program as pid 2, outlives it, and takes
 * everything down with it.
 */
#ifndef SANDBOX_REAP_H
#define SANDBOX_REAP_H

#include "sandbox/confine.h"

/* What goes from the box to the launcher, each in one message of a SOCK_SEQPACKET. */
enum note_kind { NOTE_FAIL, NOTE_OUT, NOTE_END };

struct note {
	enum note_kind kind;
	struct fail fail; /* NOTE_FAIL */
	/* NOTE_OUT carries /out's descriptor */
	int status; /* NOTE_END: as of wait4, of the program */
	int64_t cpu_us, max_rss_kib; /* of it and all that came of it */
};

/* The child's whole life. `sync`: one byte comes when its identity is set; its end means that the launcher
 * is gone. */
void reap_init(struct space *s, const struct spec *spec, const struct stdio *io, int talk, int sync)
	__attribute__((noreturn));

#endif
