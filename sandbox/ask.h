/* SPDX-License-Identifier: Apache-2.0
 *
 * ask.h: one packet of who asks a keeper (box.h), as a struct. Pure: touches no descriptor.
 */
#ifndef SANDBOX_ASK_H
#define SANDBOX_ASK_H

#include "sandbox/spec.h"

#define ASK_WORDS_MAX 1024 /* of one command line */

struct ask {
	struct box_ask head;
	const char *words; /* in the packet, behind the head */
	size_t n;
};

/* -1: it is no packet of this language, for it is too short. A kind that is not known is for the caller to
 * leave alone. */
int ask_open(struct ask *a, const char *packet, size_t n);

/* The command line of `n` bytes at `words`, which `argv` and `s` then borrow. -1: `w` says what is wrong
 * with it; even then s->report may be named, so that the failure can be told there. */
int ask_read(struct spec *s, char *argv[ASK_WORDS_MAX + 2], char *words, size_t n,
	enum box_profile profile, struct why *w);

#endif
