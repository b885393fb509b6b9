/* SPDX-License-Identifier: Apache-2.0
 *
 * pull.c: one blob's download from whoever has it.
 *
 *	LAYER --(hashes that make up the root)--> LOOK --(what was here is verified)--> PIECES --(all here, and the
 *	digest is right)--> OVER
 *
 * A peer is polled (`POST /v1/swarm`, held until it has more) and asked for pieces; each such request is a haul. The
 * coordinator is the peer with `home` set: it has no link of its own, since its ways change. It is polled again when
 * what it offered has been taken.
 */
#include "worker/pull_in.h"
#include "worker/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/pieces.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET_BYTES (32 * MIB) /* of pieces on their way */
#define WRONG_MAX 3             /* as often may the coordinator's bytes, or the whole, be wrong */
#define LEND_IDLE_MS 60000      /* a peer that has had nothing for so long does not want the blob */
#define LAYER_TIMEOUT_MS 60000  /* the first time it may be made from the whole blob */

void pull_over(struct pull *p, const struct err *e)
{
	p->over = true;
	if (e)
		p->e = *e;
	else
		p->e.code = ERR_NONE;
	timer_in(p->timer, 0);
}

void pull_report(struct pull *p, const struct peer *from, enum peer_deed deed)
{
	if (p->env->sources.report && !from->home && !from->guest)
		p->env->sources.report(p->env->sources.arg, &from->link.node, deed);
}

/* Send it to the peer (NULL: the coordinator). False: no way there is known. */
bool pull_aim(const struct pull *p, const struct peer *q, struct fetch_spec *spec)
{
	const struct way *way = home_way(p->env->home);

	if (q && !q->home)
		spec->to = &q->link;
	else if (way) {
		spec->to = &way->to;
		spec->via = way_via(way);
	}
	return spec->to != NULL;
}

void pull_url(char out[128], const struct pull *p, const char *more)
{
	char digest[DIGEST_TEXT + 1];

	digest_text(digest, &p->blob.digest);
	snprintf(out, 128, "/v1/blobs/%s%s", digest, more);
}

static void drop(struct pull *p, int source, bool wrong)
{
	struct peer *q = p->peers[source];
	struct err e;

	if (!wrong && !q->guest)
		pull_report(p, q, PEER_UNREACHABLE);
	if (q->home) { /* its key is pinned, so it is the coordinator: the blob is wrong there */
		err_set(&e, ERR_DIGEST, "the coordinator's bytes are not what the job names");
		pull_over(p, &e);
		return;
	}
	pull_shun(p, &q->link.node, wrong);
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
	auto_free char *body = pull_says(p, NULL, 0);
	struct fetch_spec spec = { .method = "POST",
		.path = "/v1/swarm",
		.body = body,
		.n = strlen(body),
		.answer_max = SWARM_TEXT_MAX,
		.headers = { "Content-Type: application/json" } };

	if (pull_aim(p, NULL, &spec))
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
void pull_pump(struct pull *p)
{
	struct swarm_act act;

	if (p->lends) {
		if (!p->over && !p->n_peers)
			pull_over(p, NULL);
		return;
	}
	while (!p->over && swarm_next(p->swarm, clock_mono_ms(), &act))
		if (act.kind == SWARM_ASK)
			haul_start(p, act.source, act.piece);
		else if (act.kind == SWARM_CANCEL)
			haul_cancel(p, act.source, act.piece);
		else
			drop(p, act.source, act.wrong);
	if (p->over)
		return;
	if (swarm_missing(p->swarm) == 0) {
		if (blob_parts_hash(p->parts, PULL_HASH_STEP)) /* resumed: much may be left */
			timer_in(p->timer, 0);
		else
			finish(p);
		return;
	}
	for (int i = 0; i < SWARM_SOURCES_MAX; i++)
		if (p->peers[i] && p->peers[i]->home && !swarm_offers(p->swarm, i) &&
			!p->peers[i]->poll && !timer_is_on(p->peers[i]->timer))
			timer_in(p->peers[i]->timer, 0);
	pull_find_more(p);
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
	if (!blob_parts_begin(&p->parts, p->env->blobs, &p->blob, p->layer, p->n, e))
		return 0;
	if (e->code != ERR_FULL || p->env->make_room(p->env->arg, p->blob.size, e))
		return -1;
	return blob_parts_begin(&p->parts, p->env->blobs, &p->blob, p->layer, p->n, e);
}

/* All that was here is known. */
static void set_out(struct pull *p)
{
	size_t n_bytes;

	p->swarm = swarm_new(p->n, p->piece, blob_parts_map(p->parts, &n_bytes), BUDGET_BYTES,
		rng_next(&p->seed), clock_mono_ms());
	peer_new(p, NULL);
	pull_pump(p);
}

/* What an earlier download left is hashed a part a turn, so that the loop goes on turning. */
static void look_on(struct pull *p)
{
	struct err e;
	bool more;

	if (blob_parts_look(p->parts, PULL_HASH_STEP, &more, &e))
		pull_over(p, &e);
	else if (more)
		timer_in(p->timer, 0);
	else
		set_out(p);
}

static void begin(struct pull *p)
{
	struct err e;

	if (open_parts(p, &e))
		pull_over(p, &e);
	else
		look_on(p);
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
		home_failed(p->env->home, p->way_turn);
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
	size_t n = p->layer_turn ? pull_look_around(p, links, PEERS_MAX) : 0,
	       at = p->layer_turn % (n + 1);

	p->layer_home = at == 0;
	p->way_turn = home_turn(p->env->home);
	if (p->layer_home)
		return pull_aim(p, NULL, spec);
	if (!pull_would_call(p, &links[at - 1]))
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
	pull_url(path, p, query);
	spec.path = path;
	p->layer_fetch = fetch_start(p->env->fetcher, &spec, on_layer, p);
}

/* --- the pull ---------------------------------------------------------------------------------------- */
static void on_timer(void *arg)
{
	struct pull *p = arg;

	if (p->lends && !p->over)
		pull_over(p, NULL); /* long enough */
	else if (p->over)
		p->fn(p->arg, p->e.code ? &p->e : NULL);
	else if (p->swarm)
		pull_pump(p);
	else if (p->parts)
		look_on(p);
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

/* --- lending: see pull_guest.c ------------------------------------------------------------------ */
bool pull_is_lent_to(const struct peer *q)
{
	if (q->home || q->guest || q->known >= (int64_t)q->pull->n)
		return false;
	return q->known || clock_mono_ms() - q->idle_ms < LEND_IDLE_MS;
}

void pull_lend(struct pull *p, pull_fn *fn, void *arg)
{
	p->fn = fn;
	p->arg = arg;
	p->over = false;
	p->lends = true;
	for (size_t i = 0; i < SWARM_SOURCES_MAX; i++)
		if (p->peers[i] && !pull_is_lent_to(p->peers[i]))
			peer_free(p->peers[i]);
	timer_in(p->timer, PULL_LEND_MS);
	for (size_t i = 0; i < SWARM_SOURCES_MAX; i++) /* they shall hear that we have all */
		if (p->peers[i] && !p->peers[i]->poll)
			timer_in(p->peers[i]->timer, 0);
	pull_pump(p);
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
	if (!p->over && !p->parts && !p->layer_fetch) {
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
		if (p->peers[i] && !p->peers[i]->home && !p->peers[i]->guest)
			out[n++] = p->peers[i]->link;
	return n;
}
