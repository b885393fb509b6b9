/* SPDX-License-Identifier: Apache-2.0
 *
 * test_swarm.c: which piece from whom; what a first seed offers; and a swarm of sixteen in virtual time.
 */
#include "coordinator/seed.h"
#include "worker/swarm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PIECE (256 * KIB)
#define BUDGET (32 * MIB)

static const unsigned char nothing[HAVE_BYTES_MAX];

static struct swarm *fresh(size_t pieces)
{
	return swarm_new(pieces, PIECE, nothing, BUDGET, 7, 0);
}

static int full_source(struct swarm *s, size_t pieces)
{
	unsigned char all[HAVE_BYTES_MAX];
	int at = swarm_add(s, false);

	have_fill(all, pieces);
	swarm_has(s, at, all, 0);
	return at;
}

static int source_with(struct swarm *s, size_t from, size_t to)
{
	unsigned char map[HAVE_BYTES_MAX] = { 0 };
	int at = swarm_add(s, false);

	for (size_t i = from; i < to; i++)
		have_set(map, i);
	swarm_has(s, at, map, 0);
	return at;
}

static size_t asks(struct swarm *s, int64_t now, struct swarm_act *out, size_t max)
{
	size_t n = 0;

	while (n < max && swarm_next(s, now, &out[n]))
		n += out[n].kind == SWARM_ASK;
	return n;
}

/* --- choosing -------------------------------------------------------------------------------- */
static void the_first_piece_is_a_random_one(void **state)
{
	size_t seen[64] = { 0 }, kinds = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct swarm *s = swarm_new(64, PIECE, nothing, BUDGET, seed, 0);
		struct swarm_act act;

		full_source(s, 64);
		assert_true(swarm_next(s, 0, &act));
		seen[act.piece]++;
		swarm_free(s);
	}
	for (size_t i = 0; i < 64; i++)
		kinds += seen[i] > 0;
	assert_true(kinds > 20);
}

static void then_the_rarest_goes_first(void **state)
{
	struct swarm *s = fresh(64);
	struct swarm_act act;

	(void)state;
	int a = full_source(s, 64);
	assert_true(swarm_next(s, 0, &act));
	swarm_arrived(s, a, act.piece, true, 100);
	size_t first = act.piece;
	source_with(s, 0, 40); /* 40 … 63 are rarer now */
	source_with(s, 0, 60); /* … and 60 … 63 rarest */
	struct swarm_act got[64];
	size_t n = asks(s, 100, got, 64), rarest = 0;
	for (size_t i = 0; i < n; i++)
		if (got[i].source == a)
			rarest += got[i].piece >= 60;
	assert_int_equal(rarest, first >= 60 ? 2 : 3); /* as many as it is asked for at once */
	swarm_free(s);
}

static void nothing_is_asked_from_who_does_not_have_it_nor_twice(void **state)
{
	struct swarm *s = fresh(32);
	struct swarm_act got[64];
	bool asked[32] = { false };

	(void)state;
	int low = source_with(s, 0, 16), high = source_with(s, 16, 32), both = full_source(s, 32);
	size_t n = asks(s, 0, got, 64);
	assert_int_equal(n, 3 * SWARM_DEPTH_START);
	for (size_t i = 0; i < n; i++) {
		assert_false(asked[got[i].piece]);
		asked[got[i].piece] = true;
		if (got[i].source != both)
			assert_int_equal(got[i].source, got[i].piece < 16 ? low : high);
	}
	swarm_free(s);
}

static void a_fast_source_gets_a_deeper_pipeline_up_to_four(void **state)
{
	struct swarm *s = fresh(64);
	struct swarm_act got[64];
	int64_t now = 0;

	(void)state;
	int a = full_source(s, 64);
	size_t n = asks(s, now, got, 64);
	assert_int_equal(n, SWARM_DEPTH_START);
	for (int round = 0; round < 4; round++) {
		now += 50;
		for (size_t i = 0; i < n; i++)
			swarm_arrived(s, a, got[i].piece, true, now);
		n = asks(s, now, got, 64);
	}
	assert_int_equal(n, SWARM_DEPTH_MAX);
	swarm_free(s);
}

static void a_doubtful_source_is_asked_for_one_piece_until_it_has_sent_one(void **state)
{
	struct swarm *s = fresh(64);
	struct swarm_act got[64];

	(void)state;
	int a = full_source(s, 64);
	swarm_doubt(s, a);
	assert_int_equal(asks(s, 0, got, 64), 1);
	swarm_arrived(s, a, got[0].piece, true, 50);
	assert_int_equal(asks(s, 50, got, 64), 2);
	swarm_free(s);
}

static void flights_stay_within_the_budget(void **state)
{
	struct swarm *s = swarm_new(64, 32 * MIB, nothing, BUDGET, 7, 0);
	struct swarm_act got[64];

	(void)state;
	for (int i = 0; i < 8; i++)
		full_source(s, 64);
	assert_int_equal(asks(s, 0, got, 64), 2);
	swarm_free(s);
}

static void what_a_first_seed_offers_comes_first_and_nothing_else_from_it(void **state)
{
	struct swarm *s = fresh(32);
	struct swarm_act got[64];
	uint16_t offers[] = { 5, 9, 31, 32, 2047 };

	(void)state;
	int peer = full_source(s, 32), seed = swarm_add(s, true);
	swarm_has(s, seed, nothing, 0);
	swarm_offered(s, seed, offers, ARRAY_LEN(offers));
	assert_int_equal(swarm_offers(s, seed), 3);
	size_t n = asks(s, 0, got, 64);
	assert_int_equal(n, 3 + SWARM_DEPTH_START);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got[i].source, i < 3 ? seed : peer);
		if (i < 3)
			assert_true(got[i].piece == 5 || got[i].piece == 9 || got[i].piece == 31);
	}
	swarm_arrived(s, seed, 5, true, 10);
	assert_int_equal(swarm_offers(s, seed), 2);
	swarm_failed(s, seed, 9, SWARM_BROKEN, 0, 10);
	assert_int_equal(swarm_offers(s, seed), 1);
	swarm_free(s);
}

/* --- the end game ------------------------------------------------------------------------------ */
static void in_the_end_game_a_slow_piece_is_asked_twice_and_the_loser_cancelled(void **state)
{
	struct swarm *s = fresh(2);
	struct swarm_act got[8];

	(void)state;
	int a = full_source(s, 2);
	assert_int_equal(asks(s, 0, got, 8), 2);
	int b = full_source(s, 2);
	assert_int_equal(asks(s, 100, got, 8), 0); /* it may come yet */
	assert_true(swarm_wake(s, 100) <= 2000);
	assert_int_equal(asks(s, 2100, got, 8), 2);
	assert_true(got[0].source == b && got[1].source == b);
	full_source(s, 2);
	assert_int_equal(asks(s, 4200, got + 2, 6), 0); /* twice is enough */
	swarm_arrived(s, b, got[0].piece, true, 4300);
	assert_true(swarm_next(s, 4300, &got[3]));
	assert_int_equal(got[3].kind, SWARM_CANCEL);
	assert_int_equal(got[3].source, a);
	assert_int_equal(got[3].piece, got[0].piece);
	swarm_arrived(s, a, got[1].piece, true, 4400);
	assert_int_equal(swarm_missing(s), 0);
	assert_true(swarm_next(s, 4400, &got[3]));
	assert_true(got[3].kind == SWARM_CANCEL && got[3].source == b);
	assert_false(swarm_next(s, 4400, &got[3]));
	swarm_free(s);
}

static void what_takes_as_long_as_usual_is_not_asked_twice(void **state)
{
	struct swarm *s = fresh(4);
	struct swarm_act got[8];

	(void)state;
	int a = full_source(s, 4);
	assert_int_equal(asks(s, 0, got, 8), 2);
	swarm_arrived(s, a, got[0].piece, true, 3000);
	assert_int_equal(asks(s, 3000, got, 8), 1);
	full_source(s, 4);
	assert_int_equal(asks(s, 3000, got + 1, 7), 1); /* now all are on their way */
	assert_int_equal(asks(s, 5900, got + 2, 6), 0);
	assert_true(asks(s, 9100, got + 2, 6) > 0);
	swarm_free(s);
}

static void it_is_no_end_game_while_a_piece_is_nowhere(void **state)
{
	struct swarm *s = fresh(3);
	struct swarm_act got[8];

	(void)state;
	source_with(s, 0, 2);
	assert_int_equal(asks(s, 0, got, 8), 2);
	source_with(s, 0, 2);
	assert_int_equal(asks(s, 5000, got, 8), 0);
	swarm_free(s);
}

/* --- bad sources --------------------------------------------------------------------------------- */
static void wrong_bytes_put_their_source_out_at_once_and_nobody_else(void **state)
{
	struct swarm *s = fresh(32);
	struct swarm_act got[64], act;
	size_t cancelled = 0;

	(void)state;
	int bad = full_source(s, 32);
	assert_int_equal(asks(s, 0, got, 64), 2);
	int good = full_source(s, 32);
	swarm_arrived(s, bad, got[0].piece, false, 10);
	while (swarm_next(s, 10, &act) && act.kind == SWARM_CANCEL)
		cancelled += act.source == bad && act.piece == got[1].piece;
	assert_int_equal(cancelled, 1);
	assert_true(act.kind == SWARM_DROP && act.source == bad && act.wrong);
	size_t n = asks(s, 10, got, 64);
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got[i].source, good);
	assert_int_equal(swarm_missing(s), 32);
	swarm_free(s);
}

static void a_tarpit_is_left_for_another_source(void **state)
{
	struct swarm *s = fresh(8);
	struct swarm_act got[8], act;

	(void)state;
	int tarpit = source_with(s, 0, 1);
	assert_int_equal(asks(s, 0, got, 8), 1);
	int other = full_source(s, 8);
	assert_int_equal(asks(s, 0, got, 8), SWARM_DEPTH_START);
	for (int i = 0; i < SWARM_DEPTH_START; i++)
		swarm_arrived(s, other, got[i].piece, true, 100);
	swarm_moved(s, tarpit, 0, 1000); /* a drip */
	assert_true(swarm_next(s, 10000, &act));
	assert_true(act.kind == SWARM_CANCEL && act.source == tarpit && act.piece == 0);
	for (int64_t now = 10000; now < 20000; now += 100) {
		while (swarm_next(s, now, &act))
			if (act.kind == SWARM_ASK && act.source == other)
				swarm_arrived(s, other, act.piece, true, now + 50);
		if (now == 11000)
			assert_true(have_get(swarm_map(s), 0)); /* the tarpit rests */
	}
	assert_int_equal(swarm_missing(s), 0);
	swarm_free(s);
}

static void a_slow_source_is_kept_while_there_is_no_other(void **state)
{
	struct swarm *s = fresh(1);
	struct swarm_act act;

	(void)state;
	int only = full_source(s, 1);
	assert_true(swarm_next(s, 0, &act));
	for (int64_t now = 10000; now < 100000; now += 10000) {
		swarm_moved(s, only, 0, 1000);
		assert_false(swarm_next(s, now, &act));
	}
	assert_true(swarm_next(s, 110000, &act)); /* nothing at all came in this window */
	assert_int_equal(act.kind, SWARM_CANCEL);
	swarm_free(s);
}

static void three_failures_in_a_row_put_a_source_out_but_being_busy_does_not(void **state)
{
	struct swarm *s = fresh(8);
	struct swarm_act act;
	int64_t now = 0;
	int fails = 0, rounds = 0;

	(void)state;
	int a = full_source(s, 8);
	for (int i = 0; i < 10; i++) {
		now += 1000;
		while (swarm_next(s, now, &act)) {
			assert_int_equal(act.kind, SWARM_ASK);
			swarm_failed(s, a, act.piece, SWARM_BUSY, 1000, now);
		}
	}
	for (bool out = false; !out && rounds < 100; rounds++) {
		now += swarm_wake(s, now);
		while (swarm_next(s, now, &act)) {
			out |= act.kind == SWARM_DROP && !act.wrong;
			fails += act.kind == SWARM_ASK;
			if (act.kind == SWARM_ASK)
				swarm_failed(s, a, act.piece, SWARM_BROKEN, 0, now);
		}
	}
	assert_int_equal(fails, SWARM_STRIKES_MAX);
	assert_true(rounds < 100);
	assert_int_equal(swarm_add(s, false), a);
	swarm_free(s);
}

static void what_nobody_has_is_wanted_after_a_while(void **state)
{
	struct swarm *s = fresh(16);
	uint16_t out[SWARM_WANT_MAX];

	(void)state;
	int a = source_with(s, 0, 15);
	assert_int_equal(swarm_lacking(s, SWARM_LACK_MS - 1, out, SWARM_WANT_MAX), 0);
	assert_int_equal(swarm_lacking(s, SWARM_LACK_MS, out, SWARM_WANT_MAX), 1);
	assert_int_equal(out[0], 15);
	swarm_remove(s, a, 20000);
	assert_int_equal(swarm_lacking(s, 20000, out, SWARM_WANT_MAX), 1);
	assert_int_equal(
		swarm_lacking(s, 20000 + SWARM_LACK_MS, out, SWARM_WANT_MAX), SWARM_WANT_MAX);
	swarm_free(s);
}

/* --- the first seed ------------------------------------------------------------------------------- */
static struct swarm_ask ask_of(int node)
{
	struct swarm_ask a = { .wait_ms = 1000 };

	memcpy(a.node.b, &node, sizeof(node));
	return a;
}

static void each_piece_is_offered_once_before_any_twice(void **state)
{
	struct seeding *s = seeding_new();
	uint16_t out[SWARM_OFFER_MAX];
	int times[40] = { 0 };
	size_t n;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct swarm_ask a = ask_of(round % 7);

		seed_heard(s, &a, 40, 1000 + round);
		n = seed_offer(s, &a, 40, false, 1000 + round, out);
		for (size_t i = 0; i < n; i++) {
			times[out[i]]++;
			have_set(a.have, out[i]);
		}
		seed_heard(s, &a, 40, 1000 + round);
	}
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(times[i], 1);
	seeding_free(s);
}

static void few_offers_are_open_at_a_time_and_the_untaken_go_to_another(void **state)
{
	struct seeding *s = seeding_new();
	uint16_t out[SWARM_OFFER_MAX], more[SWARM_OFFER_MAX];
	size_t open = 0, n;

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct swarm_ask a = ask_of(i);

		open += seed_offer(s, &a, 100, false, 1000, out);
	}
	assert_int_equal(open, SEED_OPEN_START);
	struct swarm_ask same = ask_of(0), other = ask_of(99);
	n = seed_offer(s, &same, 100, false, 2000, out);
	assert_true(n > 0); /* it asks anew, so it is not taking them: the same once more */
	assert_int_equal(seed_offer(s, &other, 100, false, 2000, more), 0);
	assert_true(seed_offer(s, &other, 100, false, 1000 + SEED_TAKE_MS, more) > 0);
	assert_int_equal(more[0], out[0]);
	seeding_free(s);
}

static void a_taken_piece_is_had_again_only_when_wanted_and_after_a_pause(void **state)
{
	struct seeding *s = seeding_new();
	uint16_t out[SWARM_OFFER_MAX];
	struct swarm_ask a = ask_of(1), b = ask_of(2);

	(void)state;
	have_fill(a.have, 10);
	seed_heard(s, &a, 10, 1000);
	assert_int_equal(seed_offer(s, &b, 10, false, 30000, out), 0);
	b.want[0] = 3;
	b.n_want = 1;
	assert_int_equal(seed_offer(s, &b, 10, false, 1000 + SEED_AGAIN_MS - 1, out), 0);
	assert_int_equal(seed_offer(s, &b, 10, false, 1000 + SEED_AGAIN_MS, out), 1);
	assert_int_equal(out[0], 3);
	struct swarm_ask c = ask_of(3);
	c.want[0] = 3;
	c.n_want = 1;
	assert_int_equal(seed_offer(s, &c, 10, false, 1000 + SEED_AGAIN_MS + 1, out), 0);
	seeding_free(s);
}

static void who_is_alone_gets_all_it_lacks(void **state)
{
	struct seeding *s = seeding_new();
	uint16_t out[SWARM_OFFER_MAX];
	struct swarm_ask a = ask_of(1), b = ask_of(2);
	size_t n, rounds = 0;

	(void)state;
	have_fill(b.have, 20);
	seed_heard(s, &b, 20, 1000);
	while (have_count(a.have, 20) < 20 && ++rounds < 10) {
		n = seed_offer(s, &a, 20, true, 2000 + (int64_t)rounds, out);
		for (size_t i = 0; i < n; i++)
			have_set(a.have, out[i]);
	}
	assert_int_equal(rounds, 3);
	seeding_free(s);
}

static void memory_is_bounded_whatever_is_asked_for(void **state)
{
	struct seeding *s = seeding_new();
	uint16_t out[SWARM_OFFER_MAX];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct swarm_ask a = ask_of(1);

		memcpy(a.digest.b, &i, sizeof(i));
		assert_true(seed_offer(s, &a, HAVE_PIECES_MAX, false, 1000 + i, out) > 0);
	}
	seeding_free(s);
}

/* --- a swarm in virtual time: uplinks are shared equally by what they send ------------------------- */
#define NODES 16
#define STEP_MS 10
#define POLL_MS 500
#define SEED_NODE NODES
#define SLOTS 4 /* that a node sends at once … */
#define QUEUE 2 /* … and that wait for one; it is too busy for more */
#define BUSY_MS 500
#define TRANSFERS_MAX 4096

struct transfer {
	int from, to;
	size_t piece;
	double left;
	bool lies;
};

struct node {
	struct swarm *s;
	int source_of[NODES + 1]; /* the number of that node here; -1: none */
	int node_of[SWARM_SOURCES_MAX];
	bool dead, poisons, waits; /* waits: for offers */
	int64_t poll_ms[NODES];
	int64_t ask_ms, done_ms;
};

struct world {
	struct node nodes[NODES];
	struct seeding *seeding;
	struct transfer t[TRANSFERS_MAX];
	size_t n_t, pieces;
	double uplink[NODES + 1], sent[NODES + 1];
	int64_t now, seed_idle_ms, seed_last_ms;
	int wrongly_dropped, poisoner_dropped;
};

static void world_new(struct world *w, size_t pieces, uint64_t seed)
{
	*w = (struct world){ .seeding = seeding_new(), .pieces = pieces };
	w->uplink[SEED_NODE] = 1e6; /* bytes a second: 8 and 16 Mbit/s */
	for (int i = 0; i < NODES; i++) {
		struct node *n = &w->nodes[i];

		w->uplink[i] = 2e6;
		n->s = swarm_new(pieces, PIECE, nothing, BUDGET, seed * 1000 + (uint64_t)i, 0);
		n->source_of[i] = -1;
		for (int k = 0; k <= NODES; k++)
			if (k != i) {
				n->source_of[k] = swarm_add(n->s, k == SEED_NODE);
				n->node_of[n->source_of[k]] = k;
				if (k < NODES)
					n->poll_ms[k] = (i * 31 + k * 17) % POLL_MS;
			}
	}
}

static void world_free(struct world *w)
{
	for (int i = 0; i < NODES; i++)
		swarm_free(w->nodes[i].s);
	seeding_free(w->seeding);
}

/* What node i says of itself. */
static struct swarm_ask says(struct world *w, int i)
{
	struct swarm_ask a = ask_of(i + 1);

	memcpy(a.have, swarm_map(w->nodes[i].s), have_bytes(w->pieces));
	a.n_want = swarm_lacking(w->nodes[i].s, w->now, a.want, SWARM_WANT_MAX);
	return a;
}

static void poll_seed(struct world *w, int i)
{
	struct node *n = &w->nodes[i];
	int seed = n->source_of[SEED_NODE];
	uint16_t out[SWARM_OFFER_MAX];

	if (seed < 0 || n->dead || n->poisons || n->done_ms || swarm_offers(n->s, seed) ||
		w->now < n->ask_ms)
		return;
	struct swarm_ask a = says(w, i);
	if (!n->waits)
		seed_heard(w->seeding, &a, w->pieces, w->now);
	n->waits = true;
	size_t got = seed_offer(w->seeding, &a, w->pieces, false, w->now, out);
	if (got) {
		swarm_offered(n->s, seed, out, got);
		n->waits = false;
	} else if (w->now >= n->ask_ms + 10000) { /* the long poll is over */
		n->waits = false;
		n->ask_ms = w->now + 100;
	}
}

static void poll_peers(struct world *w, int i)
{
	struct node *n = &w->nodes[i];

	for (int k = 0; k < NODES; k++) {
		unsigned char all[HAVE_BYTES_MAX];

		if (n->source_of[k] < 0 || w->now < n->poll_ms[k] || w->nodes[k].dead)
			continue;
		n->poll_ms[k] = w->now + POLL_MS;
		have_fill(all, w->pieces);
		swarm_has(n->s, n->source_of[k],
			w->nodes[k].poisons ? all : swarm_map(w->nodes[k].s), w->now);
	}
}

static void remove_transfer(struct world *w, size_t at)
{
	w->t[at] = w->t[--w->n_t];
}

static int waiting_at(const struct world *w, int from)
{
	int n = 0;

	for (size_t i = 0; i < w->n_t; i++)
		n += w->t[i].from == from;
	return n;
}

static void act(struct world *w, int i)
{
	struct node *n = &w->nodes[i];
	struct swarm_act a;

	while (swarm_next(n->s, w->now, &a)) {
		int from = n->node_of[a.source];

		if (a.kind == SWARM_ASK && from < NODES && waiting_at(w, from) >= SLOTS + QUEUE) {
			swarm_failed(n->s, a.source, a.piece, SWARM_BUSY, BUSY_MS, w->now);
		} else if (a.kind == SWARM_ASK) {
			assert_true(w->n_t < TRANSFERS_MAX);
			w->t[w->n_t++] = (struct transfer){ from, i, a.piece, PIECE,
				from < NODES && w->nodes[from].poisons };
		} else if (a.kind == SWARM_CANCEL) {
			for (size_t k = w->n_t; k-- > 0;)
				if (w->t[k].to == i && w->t[k].from == from &&
					w->t[k].piece == a.piece)
					remove_transfer(w, k);
		} else {
			w->poisoner_dropped += a.wrong && w->nodes[from].poisons;
			w->wrongly_dropped += a.wrong && !w->nodes[from].poisons;
			n->source_of[from] = -1;
		}
	}
}

/* The first SLOTS of an uplink share it; the rest waits its turn. */
static void carry(struct world *w)
{
	int busy[NODES + 1] = { 0 };

	for (size_t i = 0; i < w->n_t; i++)
		busy[w->t[i].from]++;
	if (busy[SEED_NODE])
		w->seed_last_ms = w->now;
	else
		w->seed_idle_ms += STEP_MS;
	int turn[NODES + 1] = { 0 };
	for (size_t i = 0; i < w->n_t; i++) {
		struct transfer *t = &w->t[i];
		int slots = t->from == SEED_NODE ? TRANSFERS_MAX : SLOTS;

		if (turn[t->from]++ >= slots)
			continue;
		int share = busy[t->from] < slots ? busy[t->from] : slots;
		double part = w->uplink[t->from] * STEP_MS / 1000 / share;
		w->sent[t->from] += part;
		t->left -= part;
		swarm_moved(w->nodes[t->to].s, w->nodes[t->to].source_of[t->from], t->piece,
			(size_t)part);
	}
	for (size_t i = w->n_t; i-- > 0;)
		if (w->t[i].left <= 0) {
			struct transfer t = w->t[i];

			memmove(&w->t[i], &w->t[i + 1],
				(w->n_t - i - 1) * sizeof(t)); /* the order is the queue's */
			w->n_t--;
			swarm_arrived(w->nodes[t.to].s, w->nodes[t.to].source_of[t.from], t.piece,
				!t.lies, w->now);
		}
}

static void kill_node(struct world *w, int i)
{
	w->nodes[i].dead = true;
	for (size_t k = w->n_t; k-- > 0;) {
		struct transfer t = w->t[k];

		if (t.from != i && t.to != i)
			continue;
		remove_transfer(w, k);
		if (t.from == i)
			swarm_failed(w->nodes[t.to].s, w->nodes[t.to].source_of[i], t.piece,
				SWARM_BROKEN, 0, w->now);
	}
	for (int k = 0; k < NODES; k++) /* its polls fail too */
		if (w->nodes[k].source_of[i] >= 0) {
			swarm_remove(w->nodes[k].s, w->nodes[k].source_of[i], w->now);
			w->nodes[k].source_of[i] = -1;
		}
}

static bool all_done(const struct world *w)
{
	for (int i = 0; i < NODES; i++)
		if (!w->nodes[i].dead && !w->nodes[i].poisons && !w->nodes[i].done_ms)
			return false;
	return true;
}

/* Until everybody has all: in how many ms. kill_ms: then every second node dies. */
static int64_t spread(struct world *w, int64_t kill_ms)
{
	for (w->now = 1; !all_done(w) && w->now < 600000; w->now += STEP_MS) {
		for (int i = 0; i < NODES; i++) {
			struct node *n = &w->nodes[i];

			if (n->dead || n->poisons)
				continue;
			poll_peers(w, i);
			poll_seed(w, (i + (int)(w->now / STEP_MS)) % NODES);
			act(w, i);
			if (!n->done_ms && swarm_missing(n->s) == 0)
				n->done_ms = w->now;
		}
		carry(w);
		if (kill_ms && w->now >= kill_ms) {
			kill_ms = 0;
			for (int i = 0; i < NODES; i += 2)
				kill_node(w, i);
		}
	}
	return w->now;
}

/* Nobody can be done before the seed has sent it once, nor before all uplinks have sent all copies. */
static double bound_ms(const struct world *w, int nodes)
{
	double f = (double)w->pieces * PIECE, one = f / w->uplink[SEED_NODE],
	       all = nodes * f / (w->uplink[SEED_NODE] + nodes * w->uplink[0]);

	return 1000 * (one > all ? one : all);
}

static double copies(const struct world *w)
{
	return w->sent[SEED_NODE] / ((double)w->pieces * PIECE);
}

static void show(const char *what, uint64_t seed, const struct world *w, int nodes, int64_t took)
{
	print_message("%s, seed %llu: %.1f s, %.2f of the bound; the seed sent %.2f copies until "
		      "%.1f s\n",
		what, (unsigned long long)seed, (double)took / 1000,
		(double)took / bound_ms(w, nodes), copies(w), (double)w->seed_last_ms / 1000);
}

static void sixteen_have_it_in_1_3_of_the_best_possible_time(void **state)
{
	static struct world w;

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		world_new(&w, 128, seed);
		int64_t took = spread(&w, 0);
		show("sixteen", seed, &w, NODES, took);
		assert_true(all_done(&w));
		assert_true((double)took <= 1.3 * bound_ms(&w, NODES));
		assert_true(copies(&w) <= 1.5);
		world_free(&w);
	}
}

static void a_fast_seed_is_helped_by_the_uplinks_of_all(void **state)
{
	static struct world w;

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		world_new(&w, 128, seed);
		w.uplink[SEED_NODE] = 8e6; /* now the uplinks of all are the limit */
		int64_t took = spread(&w, 0);
		show("a fast seed", seed, &w, NODES, took);
		assert_true(all_done(&w));
		assert_true((double)took <= 1.4 * bound_ms(&w, NODES));
		assert_true(copies(&w) <= 1.5);
		world_free(&w);
	}
}

static void a_poisoner_costs_everybody_a_piece_and_itself_all(void **state)
{
	static struct world w;

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		world_new(&w, 128, seed);
		w.nodes[3].poisons = true;
		int64_t took = spread(&w, 0);
		show("a poisoner", seed, &w, NODES - 1, took);
		assert_true(all_done(&w));
		assert_true((double)took <= 1.3 * bound_ms(&w, NODES - 1));
		assert_true(copies(&w) <= 1.5);
		assert_int_equal(w.wrongly_dropped, 0);
		assert_int_equal(w.poisoner_dropped, NODES - 1);
		world_free(&w);
	}
}

static void half_of_them_die_and_the_others_still_have_all_of_it(void **state)
{
	static struct world w;

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		world_new(&w, 128, seed);
		int64_t took = spread(&w, 17000);
		show("half of them killed", seed, &w, NODES / 2, took);
		assert_true(all_done(&w));
		assert_true((double)took <= 2 * bound_ms(&w, NODES / 2));
		assert_true(copies(&w) <= 1.5);
		world_free(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_piece_is_a_random_one),
		cmocka_unit_test(then_the_rarest_goes_first),
		cmocka_unit_test(nothing_is_asked_from_who_does_not_have_it_nor_twice),
		cmocka_unit_test(a_fast_source_gets_a_deeper_pipeline_up_to_four),
		cmocka_unit_test(a_doubtful_source_is_asked_for_one_piece_until_it_has_sent_one),
		cmocka_unit_test(flights_stay_within_the_budget),
		cmocka_unit_test(what_a_first_seed_offers_comes_first_and_nothing_else_from_it),
		cmocka_unit_test(
			in_the_end_game_a_slow_piece_is_asked_twice_and_the_loser_cancelled),
		cmocka_unit_test(what_takes_as_long_as_usual_is_not_asked_twice),
		cmocka_unit_test(it_is_no_end_game_while_a_piece_is_nowhere),
		cmocka_unit_test(wrong_bytes_put_their_source_out_at_once_and_nobody_else),
		cmocka_unit_test(a_tarpit_is_left_for_another_source),
		cmocka_unit_test(a_slow_source_is_kept_while_there_is_no_other),
		cmocka_unit_test(three_failures_in_a_row_put_a_source_out_but_being_busy_does_not),
		cmocka_unit_test(what_nobody_has_is_wanted_after_a_while),
		cmocka_unit_test(each_piece_is_offered_once_before_any_twice),
		cmocka_unit_test(few_offers_are_open_at_a_time_and_the_untaken_go_to_another),
		cmocka_unit_test(a_taken_piece_is_had_again_only_when_wanted_and_after_a_pause),
		cmocka_unit_test(who_is_alone_gets_all_it_lacks),
		cmocka_unit_test(memory_is_bounded_whatever_is_asked_for),
		cmocka_unit_test(sixteen_have_it_in_1_3_of_the_best_possible_time),
		cmocka_unit_test(a_fast_seed_is_helped_by_the_uplinks_of_all),
		cmocka_unit_test(a_poisoner_costs_everybody_a_piece_and_itself_all),
		cmocka_unit_test(half_of_them_die_and_the_others_still_have_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
