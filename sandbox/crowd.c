/* SPDX-License-Identifier: Apache-2.0
 *
 * crowd.c: see crowd.h.
 */
#include "sandbox/crowd.h"

#include <stdlib.h>
#include <string.h>

/* What is known of those who are not in `now`. A pid whose time has shrunk is another process. */
static int64_t gone(const struct crowd *c, const struct crowd_one *now, size_t n)
{
	int64_t us = 0;
	size_t at = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct crowd_one *k = &c->known[i];

		while (at < n && now[at].pid < k->pid)
			at++;
		if (at == n || now[at].pid != k->pid || now[at].own_us < k->own_us)
			us += k->own_us;
	}
	return us;
}

static void remember(struct crowd *c, const struct crowd_one *now, size_t n)
{
	struct crowd_one *room = realloc(c->known, (n ? n : 1) * sizeof(*now));

	c->n = 0;
	if (!room)
		return;
	memcpy(room, now, n * sizeof(*now));
	c->known = room;
	c->n = n;
}

int64_t crowd_look(
	struct crowd *c, const struct crowd_one *now, size_t n, int64_t waited_us, bool whole)
{
	c->gone_us += gone(c, now, n);
	remember(c, now, n);
	if (whole) {
		if (waited_us < c->waited_us)
			c->lost_us += c->waited_us - waited_us;
		c->waited_us = waited_us;
	}
	waited_us += c->lost_us;
	return waited_us > c->gone_us ? waited_us : c->gone_us;
}

bool crowd_forgets(const struct crowd *c)
{
	return c->lost_us > 0 || c->gone_us > c->waited_us + c->lost_us;
}

void crowd_release(struct crowd *c)
{
	free(c->known);
	*c = (struct crowd){ 0 };
}
