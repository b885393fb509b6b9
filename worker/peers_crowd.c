/* SPDX-License-Identifier: Apache-2.0
 *
 * peers_crowd.c: neighbours that have no room for us, or more to do than others: when to ask again, and when to leave.
 */
#include "worker/peers_in.h"

int64_t crowd_pause_after(struct slot *s, bool fruitful, int64_t now)
{
	if (s->at_once && !fruitful) /* that tells nothing of whether there is room */
		return 0;
	if (fruitful || now - s->asked_ms >= EARLY_MS)
		return s->pause_ms = 0;
	s->pause_ms = s->pause_ms ? s->pause_ms * 2 : ROUND_MS;
	if (s->pause_ms > HOLD_MS)
		s->pause_ms = HOLD_MS;
	return s->pause_ms;
}

bool crowd_told(const struct slot *s, const struct say *answer, uint64_t hash, int64_t now)
{
	bool says =
		answer->n_items || answer->n_peers || answer->summary || answer->descriptor.line;

	return !says && !s->at_once && now - s->asked_ms < HOLD_MS / 2 && answer->hash == hash;
}

int64_t crowd_pause(struct peers *p, struct slot *s)
{
	int64_t pause = s->pause_ms ? s->pause_ms * 2 : CROWD_FIRST_MS;
	bool enough = s->pause_ms && count_others(p, s) >= CROWD_ENOUGH;

	s->pause_ms = enough ? CROWD_LONG_MS : pause < CROWD_MS ? pause : CROWD_MS;
	return s->pause_ms * 3 / 4 + (int64_t)rng_below(&p->seed, (uint64_t)s->pause_ms / 2);
}

bool crowd_gives_way(struct peers *p, const struct slot *s)
{
	return s->load >= PEERS_HELD_MAX && !walking(p) && !(s->pinned && clings(p)) &&
	       count_others(p, s) >= CROWD_ENOUGH && rng_below(&p->seed, GIVE_WAY) == 0;
}

void crowd_leave(struct peers *p, struct slot *s, int64_t due, int64_t now)
{
	int64_t pause = s->pause_ms;

	view_rest(&p->view, &s->to.node, now + RETRY_MAX_MS / 6);
	empty(s, due);
	s->pause_ms = pause;
}

bool crowd_overloaded(struct peers *p, const struct slot *s, int64_t now)
{
	int sum = 0, n = 0;

	for (int i = 0; i < PEERS_SLOTS; i++)
		if (p->slots[i].heard && &p->slots[i] != s) {
			sum += p->slots[i].load;
			n++;
		}
	if (n < 2 || walking(p) || now - p->picked_ms < PICKY_MS ||
		s->load <= sum * 3 / (2 * n) + LOAD_SLACK)
		return false;
	p->picked_ms = now;
	return true;
}
