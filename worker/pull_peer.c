/* SPDX-License-Identifier: Apache-2.0
 *
 * pull_peer.c: a download's peers: whom to know, and polling them.
 */
#include "worker/pull_in.h"
#include "worker/backoff.h"
#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

#define POLL_WAIT_MS 20000     /* a peer's answer is held so long */
#define HOME_WAIT_MS 10000     /* the coordinator's: it shall know soon what nobody has */
#define POLL_PAUSE_MS 500      /* between two polls of a peer: its news come in batches … */
#define POLL_PAUSE_SMALL_MS 50 /* … but for a blob of few pieces */
#define SMALL_PIECES 16
#define POLL_FAILS_MAX 3 /* in a row: the peer is gone */
#define SHUN_MS 30000    /* … for so long, unless they lied */
#define FIND_MS 5000     /* how often more peers are looked for */
#define IDLE_MS 20000    /* a peer that has had nothing for so long makes room for another */

/* --- peers ---------------------------------------------------------------------------------- */
static bool is_shunned(const struct pull *p, const struct id *node)
{
	int64_t now = clock_mono_ms();

	for (size_t i = 0; i < p->n_shunned && i < SHUNNED_MAX; i++)
		if (id_equal(&p->shunned[i].node, node) && now < p->shunned[i].until_ms)
			return true;
	return false;
}

void pull_shun(struct pull *p, const struct id *node, bool for_ever)
{
	p->shunned[p->n_shunned++ % SHUNNED_MAX] =
		(struct shunned){ *node, for_ever ? INT64_MAX : clock_mono_ms() + SHUN_MS };
}

bool pull_may_call(const struct pull_env *env, const struct link *l)
{
	return home_may_call(env->home, env->self, l);
}

bool pull_welcomes(const struct pull *p, const struct id *node)
{
	return !is_shunned(p, node);
}

bool pull_would_call(const struct pull *p, const struct link *l)
{
	return !is_shunned(p, &l->node) && pull_may_call(p->env, l);
}

static bool is_known(const struct pull *p, const struct id *node)
{
	for (size_t i = 0; i < SWARM_SOURCES_MAX; i++)
		if (p->peers[i] && !p->peers[i]->home && !p->peers[i]->guest &&
			id_equal(&p->peers[i]->link.node, node))
			return true;
	return false;
}

struct peer *peer_new(struct pull *p, const struct link *l)
{
	int source = swarm_add(p->swarm, !l);

	if (source < 0)
		return NULL;
	struct peer *q = xcalloc(1, sizeof(*q));
	*q = (struct peer){ .pull = p, .home = !l, .source = source };
	if (l)
		q->link = *l;
	q->idle_ms = clock_mono_ms();
	q->timer = timer_new(p->env->loop, peer_poll, q);
	p->peers[source] = q;
	p->n_peers++;
	timer_in(q->timer, 0);
	return q;
}

/* It is out of the swarm already. */
void peer_free(struct peer *q)
{
	struct pull *p = q->pull;

	for (struct haul *c = p->hauls, *next; c; c = next) {
		next = c->next;
		if (c->from == q)
			haul_free(c);
	}
	for (struct gift *g = p->gifts, *next; g; g = next) {
		next = g->next;
		if (g->to == q)
			gift_free(g);
	}
	if (q->poll)
		fetch_cancel(q->poll);
	timer_free(q->timer);
	p->peers[q->source] = NULL;
	p->n_peers -= !q->guest;
	p->n_guests -= q->guest;
	free(q);
}

static void peer_gone(struct peer *q)
{
	struct pull *p = q->pull;

	pull_report(p, q, PEER_UNREACHABLE);
	pull_shun(p, &q->link.node, false);
	swarm_remove(p->swarm, q->source, clock_mono_ms());
	peer_free(q);
}

/* Whether one more may be met; one that has had nothing for long goes for it. q is not that one. */
static bool has_room(struct pull *p, const struct peer *q)
{
	for (size_t i = 0; i < SWARM_SOURCES_MAX && p->n_peers > PEERS_MAX; i++) {
		struct peer *o = p->peers[i];

		if (o && o != q && !o->home && !o->guest && !o->known &&
			clock_mono_ms() - o->idle_ms > IDLE_MS) {
			pull_shun(p, &o->link.node, false);
			swarm_remove(p->swarm, o->source, clock_mono_ms());
			peer_free(o);
		}
	}
	return p->n_peers <= PEERS_MAX;
}

/* from: who named them; NULL: nobody. */
static void meet(struct pull *p, const struct peer *from, const struct link *links, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_known(p, &links[i].node) && pull_would_call(p, &links[i]) &&
			has_room(p, from))
			peer_new(p, &links[i]);
}

size_t pull_look_around(struct pull *p, struct link *out, size_t max)
{
	return p->env->sources.list
	               ? p->env->sources.list(p->env->sources.arg, &p->blob.digest, out, max)
	               : 0;
}

void pull_find_more(struct pull *p)
{
	auto_free struct link *links = NULL;
	int64_t now = clock_mono_ms();

	if (p->n_peers > PEERS_MAX || now < p->found_ms)
		return;
	p->found_ms = now + FIND_MS;
	links = xcalloc(PEERS_MAX, sizeof(*links));
	meet(p, NULL, links, pull_look_around(p, links, PEERS_MAX));
}

/* --- polling --------------------------------------------------------------------------------- */
static int64_t pause_ms(const struct pull *p)
{
	return p->n <= SMALL_PIECES ? POLL_PAUSE_SMALL_MS : POLL_PAUSE_MS;
}

static void hear_map(struct peer *q, const struct swarm_answer *a)
{
	struct pull *p = q->pull;
	int64_t now = clock_mono_ms();

	if (!a->has || !have_fits(a->have, a->n_have, p->n)) {
		q->idle_ms = q->known ? now : q->idle_ms;
		q->known = 0;
		swarm_has(p->swarm, q->source, NULL, now);
		return;
	}
	q->known = (int64_t)have_count(a->have, p->n);
	swarm_has(p->swarm, q->source, a->have, now);
	if (q->home)
		swarm_offered(p->swarm, q->source, a->offer, a->n_offer);
}

static void heard(struct peer *q, const struct answer *a)
{
	auto_free struct swarm_answer *said = xcalloc(1, sizeof(*said)); /* 11 KiB */
	struct pull *p = q->pull;
	struct err e;

	if (swarm_answer_read(said, a->body.data ? a->body.data : "", a->body.len, &e)) {
		log_debug("a peer's answer is none: %s", e.msg);
		q->fails++;
		pull_report(p, q, PEER_STALE);
		timer_in(q->timer, backoff_ms(q->fails, &p->seed));
		return;
	}
	q->fails = 0;
	hear_map(q, said);
	gift_give(q, said->want, said->n_want);
	if (!p->lends)
		meet(p, q, said->peers, said->n_peers);
	int64_t least = q->home || said->n_want ? 0 : pause_ms(p);
	timer_in(q->timer, said->next_ms > least ? said->next_ms : least);
}

static void on_polled(void *arg, struct answer *a)
{
	struct peer *q = arg;
	struct pull *p = q->pull;

	q->poll = NULL;
	if (a->status == 200) {
		heard(q, a);
	} else if (q->home && !p->lends && (a->status == 404 || a->status == 405)) {
		pull_over(p, &a->e); /* the job's own coordinator does not know it */
		return;
	} else {
		if (a->status == 0 && q->home)
			home_failed(p->env->home, q->way_turn);
		q->fails++;
		timer_in(q->timer, backoff_ms(q->fails, &p->seed));
	}
	if (!q->home && q->fails >= POLL_FAILS_MAX)
		peer_gone(q);
	else if (p->lends && !pull_is_lent_to(q))
		peer_free(q);
	pull_pump(p);
}

char *pull_says(struct pull *p, const struct peer *q, int64_t wait_ms)
{
	struct swarm_ask ask = { .grid = p->env->home->grid_id,
		.node = *p->env->self,
		.digest = p->blob.digest,
		.n_have = have_bytes(p->n),
		.wait_ms = wait_ms };
	struct err e;

	if (!q || q->home || p->env->upload_kib) /* a peer shall not want what we do not give */
		memcpy(ask.have, swarm_map(p->swarm), ask.n_have);
	ask.known =
		q ? q->known : 0; /* the truth, also while we lend: what it gets is news to us */
	if (q && q->home)
		ask.n_want = swarm_lacking(p->swarm, clock_mono_ms(), ask.want, SWARM_WANT_MAX);
	ask.has_address = p->env->address && !endpoint_parse(&ask.address, p->env->address, &e);
	return swarm_ask_text(&ask);
}

void peer_poll(void *peer)
{
	struct peer *q = peer;
	struct pull *p = q->pull;
	int64_t wait = q->home ? HOME_WAIT_MS : POLL_WAIT_MS;

	if (q->poll || p->over)
		return;
	if (q->home && swarm_offers(p->swarm,
			       q->source)) /* polled again when these are taken: see pull_pump() */
		return;
	auto_free char *body = pull_says(p, q, wait);
	struct fetch_spec spec = { .method = "POST",
		.path = "/v1/swarm",
		.body = body,
		.n = strlen(body),
		.answer_max = SWARM_TEXT_MAX,
		.timeout_ms = wait + 30000,
		.headers = { "Content-Type: application/json" } };
	if (!pull_aim(p, q, &spec)) {
		timer_in(q->timer, POLL_PAUSE_MS);
		return;
	}
	q->way_turn = home_turn(p->env->home);
	q->poll = fetch_start(p->env->fetcher, &spec, on_polled, q);
}
