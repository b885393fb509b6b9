/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_in.h: what cache.c and cache_get.c share; nobody else includes it.
 */
#ifndef WORKER_CACHE_IN_H
#define WORKER_CACHE_IN_H

#include "worker/cache.h"
#include "worker/hidden.h"
#include "worker/waiters.h"

#define LENT_MAX 4 /* blobs that are lent after their download, by a worker that only dials out */

enum get_state { GET_WAITING, GET_MOVING, GET_OVER };

struct want {
	struct waiter waiter;
	struct get *get;
};

struct get {
	struct cache *cache;
	struct blob blob;
	enum get_state state;
	struct err e; /* of GET_OVER; code 0: it is here */
	struct waiters wants;
	struct blob_in *in;
	struct fetch *fetch;
	struct pull *pull;
	struct timer *timer;
	int tries, bad;
	bool own; /* one task's: no peers */
	bool from_peer;
	struct link peer; /* when from_peer */
	unsigned turn;    /* of the way that the fetch goes */
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

struct get *cache_find(struct cache *c, const struct digest *d);
/* Give up blobs that nobody wants, and then what is spare, until so many bytes more have room. */
int cache_room(struct cache *c, int64_t bytes, struct err *e);
/* Start what may start. */
void cache_pump(struct cache *c);
/* It moves no more. */
void get_unmove(struct get *g);
/* It is here (e NULL) or will not come; told by its timer. */
void get_over(struct get *g, const struct err *e);

#endif
