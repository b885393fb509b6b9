/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_get.c: how a blob comes.
 *
 * At most MOVING_MAX move at once, in the order they were wanted. What has more than one piece moves as a pull, the rest in
 * one transfer: from the coordinator, and while that fails every other time from a peer.
 */
#include "worker/cache_in.h"
#include "worker/backoff.h"
#include "common/log.h"
#include "common/pieces.h"

#include <string.h>

#define MOVING_MAX 4        /* transfers at once: more only share the same line */
#define BAD_MAX 3           /* wrong bytes so often in a row: the source does not have it */
#define PEERS_TRIED 8       /* that a single transfer chooses from */
#define RATE_MIN (16 * KIB) /* bytes a second that a transfer must make in all */

struct get *cache_find(struct cache *c, const struct digest *d)
{
	for (struct get *g = c->gets; g; g = g->next)
		if (digest_equal(&g->blob.digest, d))
			return g;
	return NULL;
}

static bool is_wanted(void *arg, const struct digest *d)
{
	return cache_find(arg, d) != NULL;
}

/* Blobs that nobody wants go first: they can be had again for bytes alone, an image costs an unpacking too. */
int cache_room(struct cache *c, int64_t bytes, struct err *e)
{
	while (blobs_make_room(c->blobs, bytes, is_wanted, c, e))
		if (!c->spare || !c->spare(c->spare_arg))
			return -1;
	return 0;
}

void get_unmove(struct get *g)
{
	if (g->fetch)
		fetch_cancel(TAKE(g->fetch));
	if (g->in)
		blob_in_leave(TAKE(g->in));
	pull_free(TAKE(g->pull));
}

void get_over(struct get *g, const struct err *e)
{
	get_unmove(g);
	g->state = GET_OVER;
	if (e)
		g->e = *e;
	else
		g->e.code = ERR_NONE;
	timer_in(g->timer, 0);
}

static int on_bytes(void *arg, const void *bytes, size_t n, struct err *e)
{
	struct get *g = arg;

	return blob_in_add(g->in, bytes, n, e);
}

static void get_retry(struct get *g)
{
	get_unmove(g);
	g->state = GET_WAITING;
	timer_in(g->timer, backoff_ms(++g->tries, &g->cache->seed));
}

/* The bytes are not what they should be: start from nothing, and not for ever. */
static void get_wrong(struct get *g, const struct err *e)
{
	if (g->in)
		blob_in_drop(TAKE(g->in));
	log_warn("%s", e->msg);
	if (++g->bad >= BAD_MAX)
		get_over(g, e);
	else
		get_retry(g);
}

static void get_here(struct get *g)
{
	get_over(g, NULL);
	if (g->cache->changed)
		g->cache->changed(g->cache->changed_arg, &g->blob.digest);
}

static void get_finish(struct get *g)
{
	struct err e;

	if (!blob_in_finish(TAKE(g->in), NULL, &e)) {
		get_here(g);
		return;
	}
	err_wrap(&e, "a blob from the coordinator");
	if (e.code == ERR_DIGEST)
		get_wrong(g, &e);
	else
		get_over(g, &e);
}

static bool is_final(enum err_code code)
{
	return code == ERR_UNKNOWN_BLOB || code == ERR_NOT_FOUND || code == ERR_FULL ||
	       code == ERR_REFUSED || code == ERR_BANNED;
}

/* A peer's answer is never the last word. */
static void peer_moved(struct get *g, const struct answer *a)
{
	const struct sources *from = &g->cache->env.sources;
	struct err e = a->e;
	bool came = a->status >= 200 && a->status < 300 && !a->e.code;

	if (came && !blob_in_finish(TAKE(g->in), NULL, &e)) {
		get_here(g);
		return;
	}
	log_debug("a blob did not come from a peer: %s", e.msg);
	if (from->report)
		from->report(from->arg, &g->peer.node,
			came || e.code == ERR_TOO_BIG ? PEER_WRONG_BYTES
			: a->status == 0              ? PEER_UNREACHABLE
						      : PEER_STALE);
	if (g->in)
		blob_in_drop(TAKE(g->in)); /* whose bytes are wrong must be clear */
	get_retry(g);
}

static void on_moved(void *arg, struct answer *a)
{
	struct get *g = arg;

	g->fetch = NULL;
	if (g->from_peer) {
		peer_moved(g, a);
		cache_pump(g->cache);
		return;
	}
	if (a->status >= 200 && a->status < 300 && !a->e.code)
		get_finish(g);
	else if (a->e.code == ERR_TOO_BIG || a->e.code == ERR_RANGE)
		get_wrong(g, &a->e);
	else if (is_final(a->e.code))
		get_over(g, &a->e);
	else {
		log_debug("a blob did not come: %s", a->e.msg);
		home_failed(g->cache->home, g->turn);
		get_retry(g);
	}
	cache_pump(g->cache);
}

static int get_prepare(struct get *g, struct err *e)
{
	struct cache *c = g->cache;
	char tag[DIGEST_HEX + 1];

	digest_hex(tag, &g->blob.digest);
	if (!blob_in_start(&g->in, c->blobs, tag, &g->blob.digest, g->blob.size, e))
		return 0;
	if (e->code != ERR_FULL || cache_room(c, g->blob.size, e))
		return -1;
	return blob_in_start(&g->in, c->blobs, tag, &g->blob.digest, g->blob.size, e);
}

static void on_lent(void *arg, const struct err *e)
{
	struct pull **at = arg;

	(void)e;
	pull_free(TAKE(*at));
}

/* Who only dials out goes on polling its peers, to bring them what they want. */
static void lend(struct cache *c, struct pull *p)
{
	struct pull **at = &c->lent[c->next_lent++ % LENT_MAX];

	pull_free(*at);
	*at = p;
	pull_lend(p, on_lent, at);
}

static void on_pulled(void *arg, const struct err *e)
{
	struct get *g = arg;
	struct cache *c = g->cache;

	if (!e && !c->env.address && c->env.upload_kib)
		lend(c, TAKE(g->pull));
	get_unmove(g);
	if (e && e->code == ERR_DIGEST)
		get_wrong(g, e);
	else
		get_over(g, e);
	cache_pump(c);
}

static bool is_swarmed(const struct get *g)
{
	return !g->own && g->cache->env.self && piece_count(g->blob.size) > 1;
}

static void get_pull(struct get *g)
{
	timer_off(g->timer);
	g->state = GET_MOVING;
	g->pull = pull_start(&g->cache->env, &g->blob, on_pulled, g);
}

/* After a failure of the coordinator's: a peer, if one is known. */
static bool pick_peer(struct get *g)
{
	struct link links[PEERS_TRIED];
	const struct pull_env *env = &g->cache->env;
	size_t n =
		!g->own && g->tries % 2 && env->sources.list
			? env->sources.list(env->sources.arg, &g->blob.digest, links, PEERS_TRIED)
			: 0;

	g->from_peer = n > 0;
	if (!n)
		return false;
	g->peer = links[rng_below(&g->cache->seed, n)];
	g->from_peer = pull_may_call(env, &g->peer);
	return g->from_peer;
}

static void get_move(struct get *g, const struct way *way)
{
	char path[16 + DIGEST_TEXT], range[64];
	int64_t offset;
	struct err e;

	timer_off(g->timer);
	g->state = GET_MOVING;
	if (get_prepare(g, &e)) {
		get_over(g, &e);
		return;
	}
	offset = blob_in_offset(g->in);
	if (offset == g->blob.size) {
		get_finish(g);
		return;
	}
	snprintf(path, sizeof(path), "/v1/blobs/sha256:");
	digest_hex(path + strlen(path), &g->blob.digest);
	snprintf(range, sizeof(range), "Range: bytes=%lld-", (long long)offset);
	struct fetch_spec spec = { .method = "GET",
		.to = &way->to,
		.via = way_via(way),
		.path = path,
		.sink = on_bytes,
		.sink_arg = g,
		.timeout_ms = 60000 + g->blob.size / RATE_MIN * 1000 };
	if (offset)
		spec.headers[0] = range;
	if (pick_peer(g)) {
		spec.to = &g->peer;
		spec.via = NULL;
	}
	g->turn = home_turn(g->cache->home);
	g->fetch = fetch_start(g->cache->fetcher, &spec, on_moved, g);
}

/* Start what may start. Getting one over may change the list, so look from its head each time. */
void cache_pump(struct cache *c)
{
	const struct way *way = home_way(c->home);

	for (;;) {
		struct get *g, *ready = NULL;
		int moving = 0;

		for (g = c->gets; g; g = g->next) {
			moving += g->state == GET_MOVING;
			if (!ready && g->state == GET_WAITING && !timer_is_on(g->timer))
				ready = g;
		}
		if (!ready || moving >= MOVING_MAX || (!way && !is_swarmed(ready)))
			return;
		if (is_swarmed(ready))
			get_pull(ready);
		else
			get_move(ready, way);
	}
}
