/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.c: programs and inputs by digest.
 *
 * A `get` is one digest that somebody wants: waiting --> moving (cache_get.c) --> here or failed.
 */
#include "worker/cache_in.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- gets ------------------------------------------------------------------------------------------------ */

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

	if (g->state == GET_OVER) {
		waiters_tell(&g->wants, g->e.code ? &g->e : NULL);
		if (waiters_none(&g->wants))
			get_free(g);
	}
	cache_pump(c);
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

	w->get = g;
	waiters_add(&g->wants, &w->waiter, fn, arg);
	if (g->state == GET_OVER)
		timer_in(g->timer, 0);
	return w;
}

struct want *cache_want(struct cache *c, const struct blob *b, want_fn *fn, void *arg)
{
	struct get *g = cache_find(c, &b->digest);

	hidden_drop(c->hidden, &b->digest);
	return want_of(g ? g : get_new(c, b), fn, arg);
}

/* What a whole job uses is no secret of the task's. */
struct want *cache_want_own(struct cache *c, const struct blob *b, want_fn *fn, void *arg)
{
	struct get *g = cache_find(c, &b->digest);
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
	struct get *g = w ? w->get : NULL;

	if (!w)
		return;
	waiters_drop(&g->wants, &w->waiter);
	if (waiters_none(&g->wants)) {
		struct cache *c = g->cache;

		get_free(g);
		cache_pump(c);
	}
}

/* --- the cache ------------------------------------------------------------------------------------------------ */

static int make_room(void *arg, int64_t bytes, struct err *e)
{
	struct cache *c = arg;

	return cache_room(c, bytes, e);
}

int cache_beside(struct cache *c, int64_t more, struct err *e)
{
	if (more > 0 && cache_room(c, more, e))
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
		waiters_drop_all(&c->gets->wants);
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
	cache_pump(c);
}
