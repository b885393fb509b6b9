/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.c: programs and inputs by digest.
 *
 * A `get` is one digest that somebody wants: waiting --> moving --> here or failed. At most MOVING_MAX move at once,
 * in the order they were wanted. What has more than one piece moves as a pull, the rest in one transfer: from the
 * coordinator, and while that fails every other time from a peer.
 */
#include "worker/cache.h"
#include "worker/backoff.h"
#include "worker/hidden.h"
#include "common/log.h"
#include "common/pieces.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOVING_MAX 4  /* transfers at once: more only share the same line */
#define BAD_MAX 3     /* wrong bytes so often in a row: the source does not have it */
#define LENT_MAX 4    /* blobs that are lent after their download, by a worker that only dials out */
#define PEERS_TRIED 8 /* that a single transfer chooses from */
#define RATE_MIN (16 * KIB) /* bytes a second that a transfer must make in all */

enum get_state { GET_WAITING, GET_MOVING, GET_OVER };

struct want {
	struct get *get;
	want_fn *fn; /* NULL once called */
	void *arg;
	struct want *next;
};

struct get {
	struct cache *cache;
	struct blob blob;
	enum get_state state;
	struct err e; /* of GET_OVER; code 0: it is here */
	struct want *wants;
	struct blob_in *in;
	struct fetch *fetch;
	struct pull *pull;
	struct timer *timer;
	int tries, bad;
	bool own; /* one task's: no peers */
	bool from_peer;
	struct link peer; /* when from_peer */
	unsigned turn; /* of the way that the fetch goes */
	struct get *next;
};

struct cache {
	struct blobs *blobs;
	struct hidden *hidden;
	struct loop *loop;
	struct fetcher *fetcher;
	struct home *home;
	struct get *gets;
	uint64_t seed;
	struct pull_env env;
	changed_fn *changed;
	wanted_fn *wanted;
	void *changed_arg, *wanted_arg;
	spare_fn *spare;
	void *spare_arg;
	struct pull *lent[LENT_MAX]; /* whole blobs that peers without our address want pieces of */
	size_t next_lent;
};

/* --- gets ------------------------------------------------------------------------------------------------ */

static struct get *get_find(struct cache *c, const struct digest *d)
{
	for (struct get *g = c->gets; g; g = g->next)
		if (digest_equal(&g->blob.digest, d))
			return g;
	return NULL;
}

static bool is_wanted(void *arg, const struct digest *d)
{
	return get_find(arg, d) != NULL;
}

static void get_unmove(struct get *g)
{
	if (g->fetch)
		fetch_cancel(TAKE(g->fetch));
	if (g->in)
		blob_in_leave(TAKE(g->in));
	pull_free(TAKE(g->pull));
}

static void get_free(struct get *g)
{
	struct get **at = &g->cache->gets;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	get_unmove(g);
	timer_free(g->timer);
	free(g);
}

static void pump(struct cache *c);

/* Tell everybody. A want's function may free any want, this get with its last one. */
static void tell(struct get *g)
{
	struct want *w = g->wants;

	while (w) {
		want_fn *fn = w->fn;

		w->fn = NULL;
		if (!fn) {
			w = w->next;
			continue;
		}
		bool last = true;
		for (struct want *o = w->next; o; o = o->next)
			last &= !o->fn;
		struct err e = g->e;
		struct cache *c = g->cache;
		struct digest d = g->blob.digest;
		fn(w->arg, e.code ? &e : NULL);
		if (last || get_find(c, &d) != g || g->state != GET_OVER)
			return;
		w = g->wants; /* from the start: anything may have been freed */
	}
}

static void get_over(struct get *g, const struct err *e)
{
	get_unmove(g);
	g->state = GET_OVER;
	if (e)
		g->e = *e;
	else
		g->e.code = ERR_NONE;
	timer_in(g->timer, 0);
}

/* --- moving ---------------------------------------------------------------------------------------------- */

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
	return code == ERR_UNKNOWN_BLOB || code == ERR_NOT_FOUND || code == ERR_FULL || code == ERR_REFUSED ||
	       code == ERR_BANNED;
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
		from->report(from->arg, &g->peer.node, came || e.code == ERR_TOO_BIG ? PEER_WRONG_BYTES :
			a->status == 0 ? PEER_UNREACHABLE : PEER_STALE);
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
		pump(g->cache);
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
	pump(g->cache);
}

/* Blobs that nobody wants go first: they can be had again for bytes alone, an image costs an unpacking too. */
static int room_for(struct cache *c, int64_t bytes, struct err *e)
{
	while (blobs_make_room(c->blobs, bytes, is_wanted, c, e))
		if (!c->spare || !c->spare(c->spare_arg))
			return -1;
	return 0;
}

static int get_prepare(struct get *g, struct err *e)
{
	struct cache *c = g->cache;
	char tag[DIGEST_HEX + 1];

	digest_hex(tag, &g->blob.digest);
	if (!blob_in_start(&g->in, c->blobs, tag, &g->blob.digest, g->blob.size, e))
		return 0;
	if (e->code != ERR_FULL || room_for(c, g->blob.size, e))
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
	pump(c);
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
	size_t n = !g->own && g->tries % 2 && env->sources.list ? env->sources.list(env->sources.arg, &g->blob.digest, links,
							  PEERS_TRIED) : 0;

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
	struct fetch_spec spec = { .method = "GET", .to = &way->to, .via = way_via(way), .path = path, .sink = on_bytes, .sink_arg = g,
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
static void pump(struct cache *c)
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

/* --- here already? ---------------------------------------------------------------------------------------- */

static bool is_here(struct cache *c, const struct blob *b)
{
	auto_close int fd = -1;
	int64_t size;
	struct err e;

	return !blob_open(c->blobs, &b->digest, &fd, &size, &e) && size == b->size;
}

static void on_timer(void *arg)
{
	struct get *g = arg;
	struct cache *c = g->cache;

	if (g->state == GET_OVER)
		tell(g);
	pump(c);
}

static struct get *get_new(struct cache *c, const struct blob *b)
{
	struct get *g = xcalloc(1, sizeof(*g)), **at = &c->gets;

	g->cache = c;
	g->blob = *b;
	g->timer = timer_new(c->loop, on_timer, g);
	while (*at)
		at = &(*at)->next;
	*at = g;
	if (is_here(c, b))
		g->state = GET_OVER;
	timer_in(g->timer, 0);
	return g;
}

static struct want *want_of(struct get *g, want_fn *fn, void *arg)
{
	struct want *w = xcalloc(1, sizeof(*w));

	*w = (struct want){ .get = g, .fn = fn, .arg = arg, .next = g->wants };
	g->wants = w;
	if (g->state == GET_OVER)
		timer_in(g->timer, 0);
	return w;
}

struct want *cache_want(struct cache *c, const struct blob *b, want_fn *fn, void *arg)
{
	struct get *g = get_find(c, &b->digest);

	hidden_drop(c->hidden, &b->digest);
	return want_of(g ? g : get_new(c, b), fn, arg);
}

/* What a whole job uses is no secret of the task's. */
struct want *cache_want_own(struct cache *c, const struct blob *b, want_fn *fn, void *arg)
{
	struct get *g = get_find(c, &b->digest);
	struct err e;

	if (g)
		return want_of(g, fn, arg);
	g = get_new(c, b);
	g->own = true;
	if (g->state != GET_OVER && hidden_add(c->hidden, &b->digest, &e))
		get_over(g, &e);
	return want_of(g, fn, arg);
}

bool cache_tells(const struct cache *c, const struct digest *d)
{
	return !hidden_has(c->hidden, d);
}

void want_free(struct want *w)
{
	struct want **at;
	struct get *g;

	if (!w)
		return;
	g = w->get;
	for (at = &g->wants; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	free(w);
	if (!g->wants) {
		struct cache *c = g->cache;

		get_free(g);
		pump(c);
	}
}

/* --- the cache ------------------------------------------------------------------------------------------------ */

static int make_room(void *arg, int64_t bytes, struct err *e)
{
	struct cache *c = arg;

	return room_for(c, bytes, e);
}

int cache_beside(struct cache *c, int64_t more, struct err *e)
{
	if (more > 0 && room_for(c, more, e))
		return -1;
	blobs_beside(c->blobs, more);
	return 0;
}

void cache_on_full(struct cache *c, spare_fn *fn, void *arg)
{
	c->spare = fn;
	c->spare_arg = arg;
}

static void on_changed(void *arg, const struct digest *blob)
{
	struct cache *c = arg;

	if (c->changed)
		c->changed(c->changed_arg, blob);
}

static void on_wanted(void *arg, const struct digest *blob, const struct id *guest)
{
	struct cache *c = arg;

	if (c->wanted)
		c->wanted(c->wanted_arg, blob, guest);
}

void cache_on_want(struct cache *c, wanted_fn *fn, void *arg)
{
	c->wanted = fn;
	c->wanted_arg = arg;
}

void cache_know(struct cache *c, const struct id *self, const char *address, const struct sources *sources,
	int64_t upload_kib)
{
	c->env.wanted = on_wanted;
	c->env.upload_kib = upload_kib;
	c->env.self = self;
	c->env.address = address;
	c->env.sources = sources ? *sources : (struct sources){ 0 };
}

void cache_moved(struct cache *c, const char *address)
{
	c->env.address = address;
}

struct pull *cache_pull(const struct cache *c, const struct digest *d)
{
	for (const struct get *g = c->gets; g; g = g->next)
		if (g->pull && digest_equal(&g->blob.digest, d))
			return g->pull;
	return NULL;
}

void cache_on_change(struct cache *c, changed_fn *fn, void *arg)
{
	c->changed = fn;
	c->changed_arg = arg;
}

int cache_new(struct cache **out, const char *dir, int64_t quota, struct loop *l, struct fetcher *f,
	struct home *h, struct err *e)
{
	struct cache *c = xcalloc(1, sizeof(*c));

	*c = (struct cache){ .loop = l, .fetcher = f, .home = h, .seed = random_seed() };
	if (blobs_open(&c->blobs, dir, quota, e) || hidden_open(&c->hidden, dir, c->blobs, e)) {
		if (c->blobs)
			blobs_close(c->blobs);
		free(c);
		return -1;
	}
	c->env = (struct pull_env){ .loop = l, .fetcher = f, .blobs = c->blobs, .home = h, .make_room = make_room,
		.changed = on_changed, .arg = c };
	*out = c;
	return 0;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	while (c->gets) {
		while (c->gets->wants) {
			struct want *w = c->gets->wants;

			c->gets->wants = w->next;
			free(w);
		}
		get_free(c->gets);
	}
	for (size_t i = 0; i < LENT_MAX; i++)
		pull_free(c->lent[i]);
	hidden_free(c->hidden);
	blobs_close(c->blobs);
	free(c);
}

struct blobs *cache_blobs(struct cache *c)
{
	return c->blobs;
}

void cache_hurry(struct cache *c)
{
	for (struct get *g = c->gets; g; g = g->next)
		if (g->state == GET_WAITING) {
			timer_off(g->timer);
			g->tries = 0;
		} else if (g->pull) {
			pull_hurry(g->pull);
		}
	pump(c);
}
