/* SPDX-License-Identifier: Apache-2.0
 *
 * reach.c: whether others can reach this worker.
 */
#include "worker/reach.h"

void reach_init(struct reach *r, uint64_t seed, int64_t now_ms)
{
	*r = (struct reach){ .seed = seed, .next_ms = now_ms };
}

int64_t reach_wait(const struct reach *r, int64_t now_ms)
{
	return r->next_ms > now_ms ? r->next_ms - now_ms : 0;
}

/* In `ms`, or up to a tenth later: a grid that was restarted is not asked by all at once. */
static void again(struct reach *r, int64_t ms, int64_t now_ms)
{
	r->next_ms = now_ms + ms + (int64_t)rng_below(&r->seed, (uint64_t)ms / 10 + 1);
}

bool reach_told(struct reach *r, bool reached, int64_t now_ms)
{
	enum reach_state was = r->state;

	r->fails = 0;
	if (!reached && was == REACH_YES && !r->doubted) {
		r->doubted = true;
		again(r, REACH_DOUBT_MS, now_ms);
		return false;
	}
	r->doubted = false;
	r->state = reached ? REACH_YES : REACH_NO;
	again(r, reached ? REACH_YES_MS : REACH_NO_MS, now_ms);
	return r->state != was;
}

void reach_unanswered(struct reach *r, int64_t retry_ms, int64_t now_ms)
{
	int64_t wait = REACH_RETRY_MIN_MS;

	for (int i = 0; i < r->fails && wait < REACH_RETRY_MAX_MS; i++)
		wait *= 2;
	if (wait < retry_ms)
		wait = retry_ms;
	r->fails++;
	again(r, wait < REACH_RETRY_MAX_MS ? wait : REACH_RETRY_MAX_MS, now_ms);
}
