/* SPDX-License-Identifier: Apache-2.0
 *
 * packet.c: see packet.h.
 */
#include "worker/packet.h"

#include <assert.h>
#include <string.h>

#define CODE_MAX 255 /* of an exit */

bool packet_fits(char *const words[])
{
	size_t bytes = 0, n = 0;

	for (; words[n] && n < PACKET_WORDS_MAX && bytes <= BOX_ASK_BYTES; n++)
		bytes += strlen(words[n]) + 1;
	return !words[n] && bytes <= BOX_ASK_BYTES;
}

void packet_ask(struct packet *p, enum box_ask_kind kind, uint32_t id, char *const words[])
{
	struct box_ask head = { kind, id };

	memcpy(p->bytes, &head, sizeof(head));
	p->n = sizeof(head);
	for (; words && *words; words++) {
		size_t n = strlen(*words) + 1;

		assert(n <= sizeof(p->bytes) - p->n);
		memcpy(p->bytes + p->n, *words, n);
		p->n += n;
	}
}

static bool sound(const struct box_say *s)
{
	if (s->kind == BOX_SAY_READY)
		return s->id == 0 && s->code == 0;
	return s->kind == BOX_SAY_ENDED && s->id != 0 && s->code >= 0 && s->code <= CODE_MAX;
}

bool packet_say(struct box_say *say, const void *bytes, size_t n)
{
	struct box_say s;

	if (n != sizeof(s))
		return false;
	memcpy(&s, bytes, sizeof(s));
	if (!sound(&s))
		return false;
	*say = s;
	return true;
}
