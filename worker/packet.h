/* SPDX-License-Identifier: Apache-2.0
 *
 * packet.h: what goes over a keeper's socket (sandbox/box.h), as bytes. Pure.
 */
#ifndef WORKER_PACKET_H
#define WORKER_PACKET_H

#include "common/base.h"
#include "sandbox/box.h"

#define PACKET_MAX (sizeof(struct box_ask) + BOX_ASK_BYTES)
#define PACKET_WORDS_MAX 1024 /* the keeper takes no more in a command line */

struct packet {
	char bytes[PACKET_MAX];
	size_t n;
};

/* Whether a command line fits one. NULL ends it. */
bool packet_fits(char *const words[]);
/* An ask; `words`, which must fit, only of BOX_ASK_RUN, else NULL. */
void packet_ask(struct packet *p, enum box_ask_kind kind, uint32_t id, char *const words[]);
/* What a keeper said. False: nothing that a keeper may say; `say` is then as it was. */
bool packet_say(struct box_say *say, const void *bytes, size_t n);

#endif
