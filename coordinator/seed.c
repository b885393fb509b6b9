/* SPDX-License-Identifier: Apache-2.0
 *
 * seed.c: which pieces a first seed offers.
 *
 *	fresh --offered--> open --somebody has it--> spread --wanted, SEED_AGAIN_MS later--> open …
 *	  ^                 |
 *	  +-- not taken ----+
 */
#include "coordinator/seed.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_MIN 4
#define FAST_MS 1000 /* an offer taken in this time: one more may be open */
#define SLOW_MS 2000 /* … and one that takes longer: one less */
#define SHARE                                                                                      \
	8 /* one answer offers at most this part of the open ones, so that the next node has some too */

struct open {
	uint16_t piece;
	struct id taker;
	int64_t since_ms;
};

struct blob_seed {
	bool used;
	struct digest digest;
	int64_t heard_ms;
	int64_t offered_ms[HAVE_PIECES_MAX]; /* last; 0: never, nor does anybody have it */
	bool is_open[HAVE_PIECES_MAX];
	struct open open[SEED_OPEN_MAX];
	size_t n_open, room;
};

struct seeding {
	struct blob_seed *blobs[SEED_BLOBS_MAX];
};

struct seeding *seeding_new(void)
{
	return xcalloc(1, sizeof(struct seeding));
}

void seeding_free(struct seeding *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < SEED_BLOBS_MAX; i++)
		free(s->blobs[i]);
	free(s);
}

/* The blob's counters, made when there are none yet. */
static struct blob_seed *find(struct seeding *s, const struct digest *d, int64_t now)
{
	size_t at = 0;

	for (size_t i = 0; i < SEED_BLOBS_MAX; i++) {
		if (s->blobs[i] && digest_equal(&s->blobs[i]->digest, d)) {
			s->blobs[i]->heard_ms = now;
			return s->blobs[i];
		}
		if (s->blobs[at] &&
			(!s->blobs[i] || s->blobs[i]->heard_ms < s->blobs[at]->heard_ms))
			at = i;
	}
	if (!s->blobs[at])
		s->blobs[at] = xmalloc(sizeof(struct blob_seed));
	memset(s->blobs[at], 0, sizeof(struct blob_seed));
	s->blobs[at]->digest = *d;
	s->blobs[at]->heard_ms = now;
	s->blobs[at]->room = SEED_OPEN_START;
	return s->blobs[at];
}

static void close_offer(struct blob_seed *b, size_t at)
{
	b->is_open[b->open[at].piece] = false;
	b->open[at] = b->open[--b->n_open];
}

static void taken(struct blob_seed *b, size_t at, int64_t now)
{
	int64_t took = now - b->open[at].since_ms;

	if (took <= FAST_MS && b->room < SEED_OPEN_MAX)
		b->room++;
	else if (took > SLOW_MS && b->room > OPEN_MIN)
		b->room--;
	close_offer(b, at);
}

/* Offers that nobody took in time: as if they had not been made. */
static void expire(struct blob_seed *b, int64_t now)
{
	for (size_t i = b->n_open; i-- > 0;)
		if (now - b->open[i].since_ms >= SEED_TAKE_MS) {
			b->offered_ms[b->open[i].piece] = 0;
			close_offer(b, i);
		}
}

void seed_heard(struct seeding *s, const struct swarm_ask *ask, size_t n_pieces, int64_t now_ms)
{
	struct blob_seed *b = find(s, &ask->digest, now_ms);

	for (size_t i = b->n_open; i-- > 0;)
		if (b->open[i].piece < n_pieces && have_get(ask->have, b->open[i].piece))
			taken(b, i, now_ms);
	for (size_t i = 0; i < n_pieces; i++) /* after a restart of ours */
		if (!b->offered_ms[i] && have_get(ask->have, i))
			b->offered_ms[i] = now_ms;
	expire(b, now_ms);
}

/* --- offering ------------------------------------------------------------------------------ */
struct offer {
	struct blob_seed *b;
	const struct swarm_ask *ask;
	size_t n_pieces, n, max;
	int64_t now;
	uint16_t *out;
};

/* What was offered to it and did not arrive: it has asked anew, so it is not taking it. */
static void offer_again(struct offer *o)
{
	for (size_t i = 0; i < o->b->n_open && o->n < o->max; i++)
		if (id_equal(&o->b->open[i].taker, &o->ask->node) &&
			!have_get(o->ask->have, o->b->open[i].piece))
			o->out[o->n++] = o->b->open[i].piece;
}

static void open_offer(struct offer *o, size_t piece)
{
	struct blob_seed *b = o->b;

	if (b->n_open >= b->room || o->n >= o->max || b->is_open[piece] ||
		have_get(o->ask->have, piece))
		return;
	b->open[b->n_open++] = (struct open){ (uint16_t)piece, o->ask->node, o->now };
	b->is_open[piece] = true;
	b->offered_ms[piece] = o->now;
	o->out[o->n++] = (uint16_t)piece;
}

static void offer_fresh(struct offer *o)
{
	for (size_t i = 0; i < o->n_pieces; i++)
		if (!o->b->offered_ms[i])
			open_offer(o, i);
}

static void offer_wanted(struct offer *o)
{
	for (size_t i = 0; i < o->ask->n_want; i++) {
		size_t piece = o->ask->want[i];

		if (piece < o->n_pieces && o->now - o->b->offered_ms[piece] >= SEED_AGAIN_MS)
			open_offer(o, piece);
	}
}

/* There is nobody else to have it from: what it lacks, whoever was offered it; what was never offered first. */
static void offer_all(struct offer *o)
{
	for (int fresh = 1; fresh >= 0; fresh--)
		for (size_t i = 0; i < o->n_pieces && o->n < o->max; i++)
			if (!have_get(o->ask->have, i) && (o->b->offered_ms[i] == 0) == fresh &&
				o->b->offered_ms[i] != o->now) {
				o->b->offered_ms[i] = o->now;
				o->out[o->n++] = (uint16_t)i;
			}
}

size_t seed_offer(struct seeding *s, const struct swarm_ask *ask, size_t n_pieces, bool alone,
	int64_t now_ms, uint16_t out[SWARM_OFFER_MAX])
{
	struct blob_seed *b = find(s, &ask->digest, now_ms);
	struct offer o = { .b = b, .ask = ask, .n_pieces = n_pieces, .now = now_ms, .out = out };

	expire(b, now_ms);
	o.max = alone || b->room / SHARE > SWARM_OFFER_MAX ? SWARM_OFFER_MAX
	                                                   : (b->room + SHARE - 1) / SHARE;
	if (alone) {
		offer_all(&o);
		return o.n;
	}
	offer_again(&o);
	offer_fresh(&o);
	offer_wanted(&o);
	return o.n;
}
