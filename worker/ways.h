/* SPDX-License-Identifier: Apache-2.0
 *
 * ways.h: the ways to the coordinator: directly, or through a peer that lends a tunnel (relay.h). Which one is
 * taken now, and which next. Pure: `now` is monotonic ms, handed in.
 *
 * Direct ways come first. A relay is tried only while no direct way is known to work: one that worked is given
 * WAYS_PATIENCE_MS after it failed (a coordinator that is restarted shall not find its workers behind relays,
 * where their networks are unknown). Who is relayed probes the direct ways, ever more rarely.
 */
#ifndef WORKER_WAYS_H
#define WORKER_WAYS_H

#include "common/id.h"

#define WAYS_MAX 64
/* Relays that lead nowhere are left out of the next round, then of two, up to so many: an idle round through them costs
 * some KB. */
#define WAYS_REST_MAX 4
#define WAYS_PATIENCE_MS 60000
#define PROBE_MIN_MS 5000
#define PROBE_MAX_MS (10 * 60000)

struct way {
	struct link to;
	bool relayed;
	struct link via; /* when relayed */
};

struct ways {
	struct way at[WAYS_MAX];
	size_t n, now;
	unsigned turn;     /* of `now`: another number when another way is in use */
	size_t probe;      /* whose turn it is */
	size_t tried;      /* ways that failed in this round */
	int rest,
		skip; /* rounds that leave the relays out: after they last failed; of these, to come */
	int64_t worked_ms; /* when a direct way worked; meaningful when has_worked */
	bool has_worked;
	int64_t probe_ms; /* the pause before the next probe */
};

bool way_equal(const struct way *a, const struct way *b);
/* The relay, as fetch_spec.via wants it: NULL when direct. Borrowed from w. */
const struct link *way_via(const struct way *w);

/* Take this list (direct ones first; more than WAYS_MAX are left out). The way in use stays if it is in it. */
void ways_set(struct ways *w, const struct way *list, size_t n);
/* The one to use now; NULL: there is none. */
const struct way *ways_now(const struct ways *w);
/* The way in use failed somebody who began when ways.turn was `turn`: of several who tell it only the first
 * moves on. true: one that was not tried in this round is in use now, so it may be tried at once; false: all were,
 * or another told it before. */
bool ways_failed(struct ways *w, unsigned turn, int64_t now);
/* This one worked. */
void ways_worked(struct ways *w, const struct way *tried, int64_t now);
/* Whom to probe, when in use is a relay: the next direct way, and after which pause (which grows). NULL: nobody. */
const struct link *ways_probe(struct ways *w, int64_t *wait_ms);

#endif
