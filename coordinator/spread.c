/* SPDX-License-Identifier: Apache-2.0
 *
 * spread.c: `POST /v1/swarm` at the coordinator.
 *
 * seed.c decides what is offered. The peers that are named are the workers that published an address and hold live
 * leases of a job that uses the blob, or held some lately (they have it still): users.c finds them.
 */
#include "coordinator/spread.h"
#include "common/clock.h"
#include "common/have.h"
#include "common/log.h"
#include "common/pieces.h"
#include "coordinator/seed.h"
#include "coordinator/users.h"

#include <stdlib.h>
#include <string.h>

#define HELD_MAX 2048     /* asks; beyond it they are answered at once */
#define TICK_MS 250       /* how often it is looked whether something can be offered */
#define TRIES_MAX 64      /* held asks that one look tries, in turn */
#define NEXT_MS 200       /* when to ask again … */
#define NEXT_FULL_MS 5000 /* … and when too many ask */
#define ADDRESS_RATE 100  /* asks a second of one address; four times that at once */

struct held {
	struct spread *spread;
	struct req *req;
	struct swarm_ask ask;
	size_t pieces;
	int64_t until_ms;
	struct held *next;
};

struct spread {
	struct coord *c;
	struct timer *tick;
	struct seeding *seeding;
	struct held *held; /* who waits the longest first */
	size_t n_held;
	struct finding *finding;
	struct rate rate;
	uint64_t rng;
	bool stopping;
};

/* --- who has it ------------------------------------------------------------------------------ */
static bool job_uses(const struct job *j, const struct digest *d)
{
	bool uses = j->tasks == TASKS_LIST && digest_equal(&j->list.digest, d);

	for (size_t i = 0; i < j->n_programs && !uses; i++)
		uses = digest_equal(&j->programs[i].blob.digest, d);
	for (size_t i = 0; i < j->n_files && !uses; i++)
		uses = digest_equal(&j->files[i].blob.digest, d);
	return uses;
}

static bool uses(void *arg, uint32_t job, const struct digest *d)
{
	const struct spread *s = arg;

	return !s->c->sched.jobs[job].gone && s->c->manifests[job] &&
	       job_uses(s->c->manifests[job], d);
}

/* The link of the i-th of them; false: it is who asks, or has none that can be named. */
static bool name_one(const struct spread *s, const struct users *u, size_t i,
	const struct id *asker, struct link *l)
{
	uint32_t at = u->by[i].worker;
	const struct worker *w = &s->c->sched.workers[at];
	struct endpoint where;
	struct err e;

	if (at >= s->c->sched.n_workers || w->banned || id_equal(&w->id, asker) ||
		endpoint_parse(&where, w->address, &e) || !where.port)
		return false;
	*l = link_to(&w->id, &s->c->id, &where);
	return true;
}

/* Up to max of them, from a random one on. */
static size_t name_peers(
	struct spread *s, const struct swarm_ask *ask, struct link *out, size_t max)
{
	const struct users *u =
		finding_users(s->finding, &s->c->sched, &ask->digest, coord_now(s->c));
	size_t from = u->n ? (size_t)rng_below(&s->rng, u->n) : 0, n = 0;

	for (size_t k = 0; k < u->n && n < max; k++)
		n += name_one(s, u, (from + k) % u->n, &ask->node, &out[n]);
	return n;
}

/* --- answering --------------------------------------------------------------------------------- */
static void answer(struct spread *s, struct req *r, const struct swarm_ask *ask,
	struct swarm_answer *a, size_t pieces)
{
	a->has = a->seeds = true;
	a->n_have = have_bytes(pieces);
	have_fill(a->have, pieces);
	a->n_peers = name_peers(s, ask, a->peers, SWARM_PEERS_MAX);
	if (a->n_offer)
		log_debug("%zu pieces from %d on are offered to %s, which has %zu of %zu and wants "
			  "%zu; %zu peers",
			a->n_offer, a->offer[0], req_address(r), have_count(ask->have, pieces),
			pieces, ask->n_want, a->n_peers);
	auto_free char *text = swarm_answer_text(a);
	req_on_gone(r, NULL, NULL);
	req_answer_json(r, 200, text);
}

/* Answer it if there is something to offer, or if it must be. Whether it was. */
static bool try_answer(struct spread *s, struct req *r, const struct swarm_ask *ask, size_t pieces,
	int64_t next_ms, bool must)
{
	auto_free struct swarm_answer *a = xcalloc(1, sizeof(*a)); /* 11 KiB */
	bool alone = name_peers(s, ask, a->peers, 1) == 0;

	a->next_ms = next_ms;
	a->n_offer = seed_offer(s->seeding, ask, pieces, alone, clock_mono_ms(), a->offer);
	if (!a->n_offer && !must)
		return false;
	answer(s, r, ask, a, pieces);
	return true;
}

static void held_free(struct held *h)
{
	struct held **at = &h->spread->held;

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	h->spread->n_held--;
	free(h);
}

static void on_gone(void *held)
{
	held_free(held);
}

/* Those whose time is up, and some for whom there may be something now. */
static void serve_held(struct spread *s)
{
	int64_t now = clock_mono_ms();
	int tries = TRIES_MAX;

	for (struct held *h = s->held, *next; h; h = next) {
		bool due = now >= h->until_ms;

		next = h->next;
		if ((due || tries-- > 0) && try_answer(s, h->req, &h->ask, h->pieces, NEXT_MS, due))
			held_free(h);
	}
	if (s->held)
		timer_in(s->tick, TICK_MS);
}

static void on_tick(void *spread)
{
	serve_held(spread);
}

static void hold(struct spread *s, struct req *r, const struct swarm_ask *ask, size_t pieces)
{
	struct held *h = xcalloc(1, sizeof(*h)), **at = &s->held;

	*h = (struct held){ .spread = s,
		.req = r,
		.ask = *ask,
		.pieces = pieces,
		.until_ms = clock_mono_ms() + ask->wait_ms };
	while (*at)
		at = &(*at)->next;
	*at = h;
	s->n_held++;
	req_on_gone(r, on_gone, h);
	if (!timer_is_on(s->tick))
		timer_in(s->tick, TICK_MS);
}

static int check(
	struct spread *s, struct req *r, struct swarm_ask *ask, size_t *pieces, struct err *e)
{
	size_t n;
	const char *body = req_body(r, &n), *address = req_address(r);
	struct blob_row row;

	if (!rate_ok(&s->rate, address, strlen(address), clock_mono_ms(), true))
		return err_set(e, ERR_RATE, "too many asks from this address");
	if (swarm_ask_read(ask, body, n, e))
		return -1;
	if (!id_equal(&ask->grid, &s->c->id))
		return err_set(e, ERR_GRID, "this is another grid");
	if (!store_blob(s->c->store, &ask->digest, &row) || !row.public)
		return err_set(e, ERR_UNKNOWN_BLOB, "no such blob");
	*pieces = (size_t)piece_count(row.size);
	if (*pieces == 0 || !have_fits(ask->have, ask->n_have, *pieces))
		return err_field(e, "have", "must be a map of %zu pieces", *pieces);
	return 0;
}

void spread_post(struct spread *s, struct req *r)
{
	auto_free struct swarm_ask *ask = xcalloc(1, sizeof(*ask));
	size_t pieces = 0;
	struct err e;

	if (check(s, r, ask, &pieces, &e)) {
		req_problem(r, &e);
		return;
	}
	seed_heard(s->seeding, ask, pieces, clock_mono_ms());
	serve_held(s); /* who waits longer goes first; and what this one has may have made room */
	bool full = s->n_held >= HELD_MAX || s->stopping,
	     whole = have_count(ask->have, pieces) == pieces;
	bool news =
		ask->known != (int64_t)pieces; /* it has not heard of us, nor of any peers, yet */
	if (!try_answer(s, r, ask, pieces,
		    full   ? NEXT_FULL_MS
		    : news ? 0
			   : NEXT_MS,
		    full || whole || news || ask->wait_ms == 0))
		hold(s, r, ask, pieces);
}

void spread_release(struct spread *s)
{
	s->stopping = true;
	while (s->held) {
		try_answer(s, s->held->req, &s->held->ask, s->held->pieces, NEXT_FULL_MS, true);
		held_free(s->held);
	}
}

struct spread *spread_new(struct loop *l, struct coord *c)
{
	struct spread *s = xcalloc(1, sizeof(*s));

	*s = (struct spread){ .c = c, .seeding = seeding_new(), .rng = random_seed() };
	s->finding = finding_new(random_seed(), uses, s);
	s->rate = (struct rate){
		.seed = random_seed(), .per_s = ADDRESS_RATE, .burst = 4 * ADDRESS_RATE
	};
	s->tick = timer_new(l, on_tick, s);
	return s;
}

void spread_free(struct spread *s)
{
	if (!s)
		return;
	timer_free(s->tick);
	seeding_free(s->seeding);
	finding_free(s->finding);
	free(s);
}
