/* SPDX-License-Identifier: Apache-2.0
 *
 * spread.c: `POST /v1/swarm` at the coordinator.
 *
 * seed.c decides what is offered. The peers that are named are the workers that published an address and hold live
 * leases of a job that uses the blob, or held some lately (they have it still): they are looked up in the scheduler
 * at most once in PEERS_AGE_MS a blob.
 */
#include "coordinator/spread.h"
#include "common/clock.h"
#include "common/have.h"
#include "common/log.h"
#include "common/pieces.h"
#include "coordinator/seed.h"

#include <stdlib.h>
#include <string.h>

#define HELD_MAX 2048  /* asks; beyond it they are answered at once */
#define TICK_MS 250    /* how often it is looked whether something can be offered */
#define TRIES_MAX 64   /* held asks that one look tries, in turn */
#define PEERS_KEPT 256 /* of a blob */
#define PEERS_AGE_MS 1000
#define PEERS_LATELY_MS 600000
#define BLOBS_KEPT 64
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

struct users { /* of a blob */
	struct digest digest;
	int64_t at_ms; /* 0: empty */
	struct {
		uint32_t worker;
		int64_t held_ms; /* its lease, last */
	} by[PEERS_KEPT];
	size_t n;
};

struct spread {
	struct coord *c;
	struct timer *tick;
	struct seeding *seeding;
	struct held *held; /* who waits the longest first */
	size_t n_held;
	struct users *users; /* BLOBS_KEPT */
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

/* A worker that holds a lease; when there are too many, one of the known goes by chance. */
static void add_user(struct spread *s, struct users *u, uint32_t worker, int64_t now)
{
	size_t at = u->n < PEERS_KEPT ? u->n++ : (size_t)rng_below(&s->rng, PEERS_KEPT);

	u->by[at].worker = worker;
	u->by[at].held_ms = now;
}

/* Forget who is not there any more, or held its last lease too long ago; mark in `known` who is known. */
static void forget_users(struct users *u, const struct sched *d, bool *known, int64_t now)
{
	for (size_t i = u->n; i-- > 0;)
		if (u->by[i].worker >= d->n_workers ||
			!worker_online(&d->workers[u->by[i].worker], now) ||
			now - u->by[i].held_ms > PEERS_LATELY_MS)
			u->by[i] = u->by[--u->n];
		else
			known[u->by[i].worker] = true;
}

static void find_users(struct spread *s, struct users *u, int64_t now)
{
	const struct sched *d = &s->c->sched;
	auto_free bool *job = xcalloc(d->n_jobs + 1, 1), *known = xcalloc(d->n_workers + 1, 1),
		       *holds = xcalloc(d->n_workers + 1, 1);

	forget_users(u, d, known, now);
	for (size_t i = 0; i < d->n_jobs; i++)
		job[i] = !d->jobs[i].gone && s->c->manifests[i] &&
		         job_uses(s->c->manifests[i], &u->digest);
	for (size_t i = 0; i < d->n_leases; i++)
		if (d->leases[i].worker != NOBODY && job[d->leases[i].job])
			holds[d->leases[i].worker] = true;
	for (size_t i = 0; i < u->n; i++)
		if (holds[u->by[i].worker])
			u->by[i].held_ms = now;
	for (uint32_t i = 0; i < d->n_workers; i++)
		if (holds[i] && !known[i] && d->workers[i].address[0] &&
			worker_online(&d->workers[i], now))
			add_user(s, u, i, now);
}

static const struct users *users_of(struct spread *s, const struct digest *d)
{
	int64_t now = coord_now(s->c);
	struct users *u = NULL, *oldest = &s->users[0];

	for (size_t i = 0; i < BLOBS_KEPT && !u; i++) {
		if (s->users[i].at_ms && digest_equal(&s->users[i].digest, d))
			u = &s->users[i];
		else if (s->users[i].at_ms < oldest->at_ms)
			oldest = &s->users[i];
	}
	if (u && now - u->at_ms < PEERS_AGE_MS)
		return u;
	if (!u) {
		u = oldest;
		u->digest = *d;
		u->n = 0;
	}
	u->at_ms = now;
	find_users(s, u, now);
	return u;
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
	const struct users *u = users_of(s, &ask->digest);
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
	s->users = xcalloc(BLOBS_KEPT, sizeof(*s->users));
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
	free(s->users);
	free(s);
}
