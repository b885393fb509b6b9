/* SPDX-License-Identifier: Apache-2.0
 *
 * ways.c: which way to the coordinator is taken.
 */
#include "worker/ways.h"

#include <string.h>

bool way_equal(const struct way *a, const struct way *b)
{
	return a->relayed == b->relayed && link_equal(&a->to, &b->to) &&
	       (!a->relayed || link_equal(&a->via, &b->via));
}

const struct link *way_via(const struct way *w)
{
	return w->relayed ? &w->via : NULL;
}

static bool holds(const struct ways *w, const struct way *one, size_t *at)
{
	for (*at = 0; *at < w->n; (*at)++)
		if (way_equal(&w->at[*at], one))
			return true;
	return false;
}

void ways_set(struct ways *w, const struct way *list, size_t n)
{
	struct way used = w->n ? w->at[w->now] : (struct way){ .relayed = false };
	bool had = w->n > 0;
	size_t at;

	w->turn++;
	w->rest = w->skip = 0;
	w->n = w->now = w->probe = 0;
	for (size_t i = 0; i < n && w->n < WAYS_MAX; i++)
		if (!holds(w, &list[i], &at))
			w->at[w->n++] = list[i];
	if (had && holds(w, &used, &at))
		w->now = at;
	if (!w->probe_ms)
		w->probe_ms = PROBE_MIN_MS;
}

const struct way *ways_now(const struct ways *w)
{
	return w->n ? &w->at[w->now] : NULL;
}

/* A round is over in which nothing worked. */
static void rest_relays(struct ways *w, bool went)
{
	if (!went) {
		w->skip -= w->skip > 0;
		return;
	}
	w->rest = w->rest ? w->rest * 2 : 1;
	w->rest = w->rest < WAYS_REST_MAX ? w->rest : WAYS_REST_MAX;
	w->skip = w->rest;
}

bool ways_failed(struct ways *w, unsigned turn, int64_t now)
{
	bool patient = w->skip || (w->has_worked && now - w->worked_ms < WAYS_PATIENCE_MS);
	size_t eligible = 0;

	if (!w->n || turn != w->turn)
		return false;
	for (size_t i = 0; i < w->n; i++)
		eligible += !(w->at[i].relayed && patient);
	for (size_t i = 1; i <= w->n; i++) {
		size_t next = (w->now + i) % w->n;

		if (w->at[next].relayed && patient)
			continue;
		w->now = next;
		w->turn++;
		break;
	}
	if (++w->tried < eligible)
		return true;
	w->tried = 0;
	rest_relays(w, !patient);
	w->now = 0; /* each round begins with the direct ways */
	return false;
}

void ways_worked(struct ways *w, const struct way *tried, int64_t now)
{
	size_t at;

	if (!holds(w, tried, &at))
		return;
	w->tried = w->rest = w->skip = 0;
	if (!tried->relayed) {
		w->has_worked = true;
		w->worked_ms = now;
		w->probe_ms = PROBE_MIN_MS;
	}
	if (w->at[w->now].relayed && !tried->relayed) {
		w->now = at;
		w->turn++;
	}
}

const struct link *ways_probe(struct ways *w, int64_t *wait_ms)
{
	if (!w->n || !w->at[w->now].relayed)
		return NULL;
	for (size_t i = 0; i < w->n; i++) {
		const struct way *one = &w->at[(w->probe + i) % w->n];

		if (one->relayed)
			continue;
		w->probe = (w->probe + i + 1) % w->n;
		*wait_ms = w->probe_ms;
		w->probe_ms = w->probe_ms * 2 < PROBE_MAX_MS ? w->probe_ms * 2 : PROBE_MAX_MS;
		return &one->to;
	}
	return NULL;
}
