/* SPDX-License-Identifier: Apache-2.0
 *
 * pull.c: one blob's download from whoever has it.
 *
 *	LAYER --(hashes that make up the root)--> PIECES --(all here, and the digest is right)--> OVER
 *
 * A peer is polled (`POST /v1/swarm`, held until it has more) and asked for pieces; each such request is a haul. The
 * coordinator is the peer with `home` set: it has no link of its own, since its ways change. It is polled again when
 * what it offered has been taken.
 */
#include "worker/pull.h"
#include "worker/agent.h"
#include "worker/dial.h"
#include "worker/swarm.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/pieces.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_MAX 16 /* polled at once: enough that every node is two steps from every other */
#define BUDGET_BYTES (32 * MIB) /* of pieces on their way */
#define POLL_WAIT_MS 20000      /* a peer's answer is held so long */
#define HOME_WAIT_MS 10000      /* the coordinator's: it shall know soon what nobody has */
#define POLL_PAUSE_MS 500       /* between two polls of a peer: its news come in batches … */
#define POLL_PAUSE_SMALL_MS 50  /* … but for a blob of few pieces */
#define SMALL_PIECES 16
#define POLL_FAILS_MAX 3       /* in a row: the peer is gone */
#define SHUNNED_MAX 64         /* peers that are not taken again */
#define SHUN_MS 30000          /* … for so long, unless they lied */
#define FIND_MS 5000           /* how often more peers are looked for */
#define IDLE_MS 20000          /* a peer that has had nothing for so long makes room for another */
#define WRONG_MAX 3            /* as often may the coordinator's bytes, or the whole, be wrong */
#define BUSY_MS 500            /* a source without room is asked again after this, at least … */
#define BUSY_MAX_MS 10000      /* … and at most */
#define HASH_STEP (4 * MIB)    /* of the whole's digest, with each piece */
#define LAYER_TIMEOUT_MS 60000 /* the first time it may be made from the whole blob */

struct peer {
	struct pull *pull;
	bool home;
	struct link link;
	int source; /* its number in the swarm */
	struct fetch *poll;
	struct timer *timer;
	int fails;
	int64_t known;   /* how many of its pieces we know of */
	int64_t idle_ms; /* since when it has had nothing at all */
};

struct haul {
	struct peer *from;
	size_t piece, n, size;
	unsigned char *bytes; /* size */
	struct fetch *fetch;
	struct haul *next;
};

struct shunned {
	struct id node;
	int64_t until_ms;
};

struct pull {
	const struct pull_env *env;
	struct blob blob;
	pull_fn *fn;
	void *arg;
	bool over;
	struct err e; /* when over; code 0: it is here */
	struct timer *timer;
	uint64_t seed;
	int tries, wrong;
	struct fetch *layer_fetch;
	struct id layer_from;
	bool layer_home;   /* the layer was asked from the coordinator */
	size_t layer_turn; /* whom to ask next */
	struct digest *layer;
	size_t n; /* pieces */
	int64_t piece;
	struct blob_parts *parts;
	struct swarm *swarm;
	struct peer *peers[SWARM_SOURCES_MAX];
	size_t n_peers;
	struct haul *hauls;
	struct shunned shunned[SHUNNED_MAX];
	size_t n_shunned;
	int64_t found_ms;
};

static void pump(struct pull *p);
static void poll_peer(void *peer);

static void pull_over(struct pull *p, const struct err *e)
{
	p->over = true;
	if (e)
		p->e = *e;
	else
		p->e.code = ERR_NONE;
	timer_in(p->timer, 0);
}

static void report(struct pull *p, const struct peer *from, enum peer_deed deed)
{
	if (p->env->sources.report && !from->home)
		p->env->sources.report(p->env->sources.arg, &from->link.node, deed);
}

/* Send it to the peer (NULL: the coordinator). False: no way there is known. */
static bool aim(const struct pull *p, const struct peer *q, struct fetch_spec *spec)
{
	spec->to = q && !q->home ? &q->link : home_way(p->env->home);
	return spec->to != NULL;
}

static void blob_url(char out[128], const struct pull *p, const char *more)
{
	char digest[DIGEST_TEXT + 1];

	digest_text(digest, &p->blob.digest);
	snprintf(out, 128, "/v1/blobs/%s%s", digest, more);
}

/* --- peers ---------------------------------------------------------------------------------- */
static bool is_shunned(const struct pull *p, const struct id *node)
{
	int64_t now = clock_mono_ms();

	for (size_t i = 0; i < p->n_shunned && i < SHUNNED_MAX; i++)
		if (id_equal(&p->shunned[i].node, node) && now < p->shunned[i].until_ms)
			return true;
	return false;
}

static void shun(struct pull *p, const struct id *node, bool for_ever)
{
	p->shunned[p->n_shunned++ % SHUNNED_MAX] =
		(struct shunned){ *node, for_ever ? INT64_MAX : clock_mono_ms() + SHUN_MS };
}

static bool joined_private(const struct home *h)
{
	for (size_t i = 0; i < h->n_joins; i++) {
		struct endpoint at = { .port = h->joins[i].port };

		memcpy(at.host, h->joins[i].host, sizeof(at.host));
		if (dial_is_private(&at))
			return true;
	}
	return false;
}

bool pull_may_call(const struct pull_env *env, const struct link *l)
{
	struct endpoint at = { .port = l->port };

	memcpy(at.host, l->host, sizeof(at.host));
	return id_equal(&l->grid, &env->home->grid_id) && !id_equal(&l->node, env->self) &&
	       dial_allowed(&at, joined_private(env->home));
}

static bool may_call(const struct pull *p, const struct link *l)
{
	return !is_shunned(p, &l->node) && pull_may_call(p->env, l);
}

static bool is_known(const struct pull *p, const struct id *node)
{
	for (size_t i = 0; i < SWARM_SOURCES_MAX; i++)
		if (p->peers[i] && !p->peers[i]->home && id_equal(&p->peers[i]->link.node, node))
			return true;
	return false;
}

static struct peer *peer_new(struct pull *p, const struct link *l)
{
	int source = swarm_add(p->swarm, !l);

	if (source < 0)
		return NULL;
	struct peer *q = xcalloc(1, sizeof(*q));
	*q = (struct peer){ .pull = p, .home = !l, .source = source };
	if (l)
		q->link = *l;
	q->idle_ms = clock_mono_ms();
	q->timer = timer_new(p->env->loop, poll_peer, q);
	p->peers[source] = q;
	p->n_peers++;
	timer_in(q->timer, 0);
	return q;
}

static void haul_free(struct haul *c)
{
	struct haul **at = &c->from->pull->hauls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (c->fetch)
		fetch_cancel(c->fetch);
	free(c->bytes);
	free(c);
}

/* It is out of the swarm already. */
static void peer_free(struct peer *q)
{
	struct pull *p = q->pull;

	for (struct haul *c = p->hauls, *next; c; c = next) {
		next = c->next;
		if (c->from == q)
			haul_free(c);
	}
	if (q->poll)
		fetch_cancel(q->poll);
	timer_free(q->timer);
	p->peers[q->source] = NULL;
	p->n_peers--;
	free(q);
}

static void peer_gone(struct peer *q)
{
	struct pull *p = q->pull;

	report(p, q, PEER_UNREACHABLE);
	shun(p, &q->link.node, false);
	swarm_remove(p->swarm, q->source, clock_mono_ms());
	peer_free(q);
}

/* Whether one more may be met; one that has had nothing for long goes for it. q is not that one. */
static bool has_room(struct pull *p, const struct peer *q)
{
	for (size_t i = 0; i < SWARM_SOURCES_MAX && p->n_peers > PEERS_MAX; i++) {
		struct peer *o = p->peers[i];

		if (o && o != q && !o->home && !o->known &&
			clock_mono_ms() - o->idle_ms > IDLE_MS) {
			shun(p, &o->link.node, false);
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
		if (!is_known(p, &links[i].node) && may_call(p, &links[i]) && has_room(p, from))
			peer_new(p, &links[i]);
}

static size_t look_around(struct pull *p, struct link *out, size_t max)
{
	return p->env->sources.list
	               ? p->env->sources.list(p->env->sources.arg, &p->blob.digest, out, max)
	               : 0;
}

static void find_more(struct pull *p)
{
	auto_free struct link *links = NULL;
	int64_t now = clock_mono_ms();

	if (p->n_peers > PEERS_MAX || now < p->found_ms)
		return;
	p->found_ms = now + FIND_MS;
	links = xcalloc(PEERS_MAX, sizeof(*links));
	meet(p, NULL, links, look_around(p, links, PEERS_MAX));
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
		report(p, q, PEER_STALE);
		timer_in(q->timer, backoff_ms(q->fails, &p->seed));
		return;
	}
	q->fails = 0;
	hear_map(q, said);
	meet(p, q, said->peers, said->n_peers);
	int64_t least = q->home ? 0 : pause_ms(p);
	timer_in(q->timer, said->next_ms > least ? said->next_ms : least);
}

static void on_polled(void *arg, struct answer *a)
{
	struct peer *q = arg;
	struct pull *p = q->pull;

	q->poll = NULL;
	if (a->status == 200) {
		heard(q, a);
	} else if (q->home && (a->status == 404 || a->status == 405)) {
		pull_over(p, &a->e); /* the job's own coordinator does not know it */
		return;
	} else {
		if (a->status == 0 && q->home)
			home_failed(p->env->home);
		q->fails++;
		timer_in(q->timer, backoff_ms(q->fails, &p->seed));
	}
	if (!q->home && q->fails >= POLL_FAILS_MAX)
		peer_gone(q);
	pump(p);
}

static char *what_we_have(struct pull *p, const struct peer *q, int64_t wait_ms)
{
	struct swarm_ask ask = { .grid = p->env->home->grid_id,
		.node = *p->env->self,
		.digest = p->blob.digest,
		.n_have = have_bytes(p->n),
		.wait_ms = wait_ms };
	struct err e;

	memcpy(ask.have, swarm_map(p->swarm), ask.n_have);
	ask.known = q ? q->known : 0;
	if (q && q->home)
		ask.n_want = swarm_lacking(p->swarm, clock_mono_ms(), ask.want, SWARM_WANT_MAX);
	ask.has_address = p->env->address && !endpoint_parse(&ask.address, p->env->address, &e);
	return swarm_ask_text(&ask);
}

static void poll_peer(void *peer)
{
	struct peer *q = peer;
	struct pull *p = q->pull;
	int64_t wait = q->home ? HOME_WAIT_MS : POLL_WAIT_MS;

	if (q->poll || p->over)
		return;
	if (q->home && swarm_offers(p->swarm,
			       q->source)) /* polled again when these are taken: see pump() */
		return;
	auto_free char *body = what_we_have(p, q, wait);
	struct fetch_spec spec = { .method = "POST",
		.path = "/v1/swarm",
		.body = body,
		.n = strlen(body),
		.answer_max = SWARM_TEXT_MAX,
		.timeout_ms = wait + 30000,
		.headers = { "Content-Type: application/json" } };
	if (!aim(p, q, &spec)) {
		timer_in(q->timer, POLL_PAUSE_MS);
		return;
	}
	q->poll = fetch_start(p->env->fetcher, &spec, on_polled, q);
}

/* --- pieces ----------------------------------------------------------------------------------- */
static size_t bytes_of(const struct pull *p, size_t piece)
{
	int64_t left = p->blob.size - (int64_t)piece * p->piece;

	return (size_t)(left < p->piece ? left : p->piece);
}

static int on_bytes(void *arg, const void *bytes, size_t n, struct err *e)
{
	struct haul *c = arg;

	if (n > c->size - c->n)
		return err_set(e, ERR_TOO_BIG, "more bytes than the piece has");
	memcpy(c->bytes + c->n, bytes, n);
	c->n += n;
	swarm_moved(c->from->pull->swarm, c->from->source, c->piece, n);
	return 0;
}

static void fail_haul(struct haul *c, const struct answer *a)
{
	struct pull *p = c->from->pull;
	int64_t rest = a->retry_after_s > 1 ? a->retry_after_s * 1000 : BUSY_MS;
	enum swarm_fail why = a->status == 429                      ? SWARM_BUSY
	                      : a->status >= 400 && a->status < 500 ? SWARM_MISSING
	                                                            : SWARM_BROKEN;

	log_debug("piece %zu did not come: %s", c->piece, a->e.msg);
	swarm_failed(p->swarm, c->from->source, c->piece, why,
		rest > BUSY_MAX_MS ? BUSY_MAX_MS : rest, clock_mono_ms());
}

/* All bytes of the piece are here. */
static void take_piece(struct haul *c)
{
	struct pull *p = c->from->pull;
	struct err e;
	int bad = blob_parts_put(p->parts, c->piece, c->bytes, c->size, &e);

	if (bad && e.code != ERR_DIGEST) {
		pull_over(p, &e);
		return;
	}
	swarm_arrived(p->swarm, c->from->source, c->piece, !bad, clock_mono_ms());
	if (bad) {
		char node[ID_TEXT + 1];

		id_text(node, &c->from->link.node);
		log_warn("%s sent wrong bytes for piece %zu: nothing more is taken from it",
			c->from->home ? "the coordinator" : node, c->piece);
		report(p, c->from, PEER_WRONG_BYTES);
		return;
	}
	report(p, c->from, PEER_GOOD);
	blob_parts_hash(p->parts, HASH_STEP);
	if (p->env->changed)
		p->env->changed(p->env->arg, &p->blob.digest);
}

static void on_hauled(void *arg, struct answer *a)
{
	struct haul *c = arg;
	struct pull *p = c->from->pull;

	c->fetch = NULL;
	if ((a->status == 206 || a->status == 200) && !a->e.code && c->n == c->size)
		take_piece(c);
	else
		fail_haul(c, a);
	haul_free(c);
	pump(p);
}

static void ask(struct pull *p, int source, size_t piece)
{
	struct peer *q = p->peers[source];
	struct fetch_spec spec = { .method = "GET" };
	char path[128], range[64];
	int64_t at = (int64_t)piece * p->piece;

	if (!aim(p, q, &spec)) {
		swarm_failed(p->swarm, source, piece, SWARM_BROKEN, 0, clock_mono_ms());
		return;
	}
	struct haul *c = xcalloc(1, sizeof(*c));
	*c = (struct haul){
		.from = q, .piece = piece, .size = bytes_of(p, piece), .next = p->hauls
	};
	c->bytes = xmalloc(c->size);
	p->hauls = c;
	blob_url(path, p, "");
	snprintf(range, sizeof(range), "Range: bytes=%lld-%lld", (long long)at,
		(long long)at + (long long)c->size - 1);
	spec.path = path;
	spec.headers[0] = range;
	spec.sink = on_bytes;
	spec.sink_arg = c;
	spec.timeout_ms = 60000 + (int64_t)c->size / SWARM_RATE_MIN * 1000;
	c->fetch = fetch_start(p->env->fetcher, &spec, on_hauled, c);
}

static void cancel(struct pull *p, int source, size_t piece)
{
	for (struct haul *c = p->hauls; c; c = c->next)
		if (c->from->source == source && c->piece == piece) {
			haul_free(c);
			return;
		}
}

static void drop(struct pull *p, int source, bool wrong)
{
	struct peer *q = p->peers[source];
	struct err e;

	if (!wrong)
		report(p, q, PEER_UNREACHABLE);
	if (q->home) { /* its key is pinned, so it is the coordinator: the blob is wrong there */
		err_set(&e, ERR_DIGEST, "the coordinator's bytes are not what the job names");
		pull_over(p, &e);
		return;
	}
	shun(p, &q->link.node, wrong);
	peer_free(q);
}

/* --- the end ------------------------------------------------------------------------------------ */
static void on_told(void *arg, struct answer *a)
{
	(void)arg, (void)a; /* it was for the coordinator's knowledge only */
}

/* The first seed should know what is had, so that it does not offer it once more. */
static void tell_home(struct pull *p)
{
	auto_free char *body = what_we_have(p, NULL, 0);
	struct fetch_spec spec = { .method = "POST",
		.path = "/v1/swarm",
		.body = body,
		.n = strlen(body),
		.answer_max = SWARM_TEXT_MAX,
		.headers = { "Content-Type: application/json" } };

	if (aim(p, NULL, &spec))
		fetch_start(p->env->fetcher, &spec, on_told, NULL);
}

static void finish(struct pull *p)
{
	struct err e;
	int bad = blob_parts_finish(TAKE(p->parts), &e);

	if (!bad)
		tell_home(p);
	pull_over(p, bad ? &e : NULL);
	if (!bad && p->env->changed)
		p->env->changed(p->env->arg, &p->blob.digest);
}

/* Do what the swarm says. */
static void pump(struct pull *p)
{
	struct swarm_act act;

	while (!p->over && swarm_next(p->swarm, clock_mono_ms(), &act))
		if (act.kind == SWARM_ASK)
			ask(p, act.source, act.piece);
		else if (act.kind == SWARM_CANCEL)
			cancel(p, act.source, act.piece);
		else
			drop(p, act.source, act.wrong);
	if (p->over)
		return;
	if (swarm_missing(p->swarm) == 0) {
		finish(p);
		return;
	}
	for (int i = 0; i < SWARM_SOURCES_MAX; i++)
		if (p->peers[i] && p->peers[i]->home && !swarm_offers(p->swarm, i) &&
			!p->peers[i]->poll && !timer_is_on(p->peers[i]->timer))
			timer_in(p->peers[i]->timer, 0);
	find_more(p);
	timer_in(p->timer, swarm_wake(p->swarm, clock_mono_ms()));
}

/* --- the layer ------------------------------------------------------------------------------------ */
static void layer_again(struct pull *p)
{
	p->layer_turn++;
	timer_in(p->timer, backoff_ms(++p->tries, &p->seed));
}

static int open_parts(struct pull *p, struct err *e)
{
	if (!blob_parts_open(&p->parts, p->env->blobs, &p->blob, p->layer, p->n, e))
		return 0;
	if (e->code != ERR_FULL || p->env->make_room(p->env->arg, p->blob.size, e))
		return -1;
	return blob_parts_open(&p->parts, p->env->blobs, &p->blob, p->layer, p->n, e);
}

static void begin(struct pull *p)
{
	struct err e;
	size_t n_bytes;

	if (open_parts(p, &e)) {
		pull_over(p, &e);
		return;
	}
	p->swarm = swarm_new(p->n, p->piece, blob_parts_map(p->parts, &n_bytes), BUDGET_BYTES,
		rng_next(&p->seed), clock_mono_ms());
	peer_new(p, NULL);
	pump(p);
}

static int take_layer(struct pull *p, const struct buf *b, struct err *e)
{
	if (b->len != p->n * sizeof(struct digest))
		return err_set(e, ERR_DIGEST, "%zu bytes are no layer of %zu pieces", b->len, p->n);
	p->layer = (struct digest *)xmemdup(b->data, b->len);
	if (!layer_check(p->layer, p->n, p->blob.size, p->piece, &p->blob.root, e))
		return 0;
	free(TAKE(p->layer));
	return -1;
}

static void on_layer(void *arg, struct answer *a)
{
	struct pull *p = arg;
	struct err e = a->e;

	p->layer_fetch = NULL;
	if (a->status == 200 && !take_layer(p, &a->body, &e)) {
		begin(p);
		return;
	}
	log_debug("a blob's layer did not come: %s", e.msg);
	if (p->layer_home && (a->status == 404 || (a->status == 200 && ++p->wrong >= WRONG_MAX))) {
		pull_over(p, &e);
		return;
	}
	if (p->layer_home && a->status == 0)
		home_failed(p->env->home);
	if (!p->layer_home && p->env->sources.report)
		p->env->sources.report(p->env->sources.arg, &p->layer_from,
			a->status == 0     ? PEER_UNREACHABLE
			: a->status == 200 ? PEER_WRONG_BYTES
					   : PEER_STALE);
	layer_again(p);
}

/* The coordinator first; when it does not answer, it and the peers that are known in turn. */
static bool aim_layer(struct pull *p, struct link links[PEERS_MAX], struct fetch_spec *spec)
{
	size_t n = p->layer_turn ? look_around(p, links, PEERS_MAX) : 0,
	       at = p->layer_turn % (n + 1);

	p->layer_home = at == 0;
	if (p->layer_home)
		return aim(p, NULL, spec);
	if (!may_call(p, &links[at - 1]))
		return false;
	spec->to = &links[at - 1];
	p->layer_from = spec->to->node;
	return true;
}

static void get_layer(struct pull *p)
{
	struct link links[PEERS_MAX];
	struct fetch_spec spec = { .method = "GET",
		.answer_max = p->n * sizeof(struct digest),
		.timeout_ms = LAYER_TIMEOUT_MS };
	char path[128], query[40];

	if (!aim_layer(p, links, &spec)) {
		layer_again(p);
		return;
	}
	snprintf(query, sizeof(query), "/layer?piece=%lld", (long long)p->piece);
	blob_url(path, p, query);
	spec.path = path;
	p->layer_fetch = fetch_start(p->env->fetcher, &spec, on_layer, p);
}

/* --- the pull ---------------------------------------------------------------------------------------- */
static void on_timer(void *arg)
{
	struct pull *p = arg;

	if (p->over)
		p->fn(p->arg, p->e.code ? &p->e : NULL);
	else if (p->swarm)
		pump(p);
	else if (!p->layer_fetch)
		get_layer(p);
}

struct pull *pull_start(const struct pull_env *env, const struct blob *b, pull_fn *fn, void *arg)
{
	struct pull *p = xcalloc(1, sizeof(*p));

	*p = (struct pull){ .env = env, .blob = *b, .fn = fn, .arg = arg, .seed = random_seed() };
	p->piece = piece_bytes(b->size);
	p->n = (size_t)piece_count(b->size);
	assert(p->n > 0 && p->n <= HAVE_PIECES_MAX);
	p->timer = timer_new(env->loop, on_timer, p);
	timer_in(p->timer, 0);
	return p;
}

void pull_free(struct pull *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < SWARM_SOURCES_MAX; i++)
		if (p->peers[i])
			peer_free(p->peers[i]);
	if (p->layer_fetch)
		fetch_cancel(p->layer_fetch);
	if (p->parts)
		blob_parts_leave(p->parts);
	swarm_free(p->swarm);
	timer_free(p->timer);
	free(p->layer);
	free(p);
}

void pull_hurry(struct pull *p)
{
	p->tries = 0;
	if (!p->over && !p->swarm && !p->layer_fetch) {
		p->layer_turn = 0;
		timer_in(p->timer, 0);
	}
	for (size_t i = 0; i < SWARM_SOURCES_MAX; i++)
		if (p->peers[i] && p->peers[i]->home && p->peers[i]->fails) {
			p->peers[i]->fails = 0;
			timer_in(p->peers[i]->timer, 0);
		}
}

const struct blob *pull_blob(const struct pull *p)
{
	return &p->blob;
}

const unsigned char *pull_map(const struct pull *p, size_t *n_pieces)
{
	*n_pieces = p->n;
	return p->swarm ? swarm_map(p->swarm) : NULL;
}

const struct digest *pull_layer(const struct pull *p, size_t *n)
{
	*n = p->n;
	return p->layer;
}

int pull_reader(const struct pull *p, int64_t at, int64_t n, int *fd, struct err *e)
{
	if (!p->parts || at < 0 || n <= 0 || at > p->blob.size - n)
		return err_set(e, ERR_UNKNOWN_BLOB, "these bytes are not here yet");
	for (int64_t i = at / p->piece; i <= (at + n - 1) / p->piece; i++)
		if (!blob_parts_has(p->parts, (size_t)i))
			return err_set(e, ERR_UNKNOWN_BLOB, "these bytes are not here yet");
	return blob_parts_reader(p->parts, fd, e);
}

size_t pull_peers(const struct pull *p, struct link *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < SWARM_SOURCES_MAX && n < max; i++)
		if (p->peers[i] && !p->peers[i]->home)
			out[n++] = p->peers[i]->link;
	return n;
}
