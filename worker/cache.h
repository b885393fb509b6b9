/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.h: programs and inputs, fetched by digest, verified while they come in, kept while there is room.
 *
 * What is larger than one piece comes piece by piece from whoever has it (pull.h), the rest from the coordinator.
 * A want is a pin: from cache_want() to want_free() the blob is not removed to make room for others. One
 * transfer serves all wants of a digest; what a broken one left is resumed. As long as somebody wants a blob
 * it is tried again, unless the answer is final: nobody has it, its bytes are wrong, or it does not fit.
 */
#ifndef WORKER_CACHE_H
#define WORKER_CACHE_H

#include "worker/home.h"
#include "worker/pull.h"
#include "common/blob.h"
#include "common/fetch.h"
#include "common/loop.h"

struct cache;
struct want;

/* e NULL: the blob is here. Called once, from the loop, never from within cache_want(). */
typedef void want_fn(void *arg, const struct err *e);

int cache_new(struct cache **out, const char *dir, int64_t quota, struct loop *l, struct fetcher *f,
	struct home *h, struct err *e);
void cache_free(struct cache *c);
struct want *cache_want(struct cache *c, const struct blob *b, want_fn *fn, void *arg);
/* The same of what belongs to one task: from the coordinator alone. Peers that are asked for it would learn which task
 * runs here, and one that has it would tell us that we run the second copy. Nor is it told of or served (hidden.h),
 * unless a whole job uses it too. */
struct want *cache_want_own(struct cache *c, const struct blob *b, want_fn *fn, void *arg);
/* Whether peers may hear that it is here, if it is. */
bool cache_tells(const struct cache *c, const struct digest *d);
void want_free(struct want *w); /* fn is not called any more; NULL is fine */

/* Who we are, for peers; before the first want. address: HOST:PORT of our peer port, NULL: none; both borrowed.
 * sources: where else peers come from (NULL: from the coordinator alone). */
void cache_know(struct cache *c, const struct id *self, const char *address, const struct sources *sources,
	int64_t upload_kib);
/* Our address is another now. */
void cache_moved(struct cache *c, const char *address);
/* The download of a blob that is not here whole, or NULL: for serving the pieces that are. */
struct pull *cache_pull(const struct cache *c, const struct digest *d);
/* fn is called when one more piece of a blob, or the whole, is here. One fn. */
typedef void changed_fn(void *arg, const struct digest *blob);
void cache_on_change(struct cache *c, changed_fn *fn, void *arg);
/* fn is called when a guest (pull.h) is to bring a piece. One fn. */
typedef void wanted_fn(void *arg, const struct digest *blob, const struct id *guest);
void cache_on_want(struct cache *c, wanted_fn *fn, void *arg);
/* Take `more` bytes of the quota for what stands beside the blobs (images.h), or give some back. ERR_FULL: there is no
 * room, nor could any be made. */
int cache_beside(struct cache *c, int64_t more, struct err *e);
/* Where blobs alone do not make room, fn gives up something that stands beside them; false: it has nothing. One fn. */
typedef bool spare_fn(void *arg);
void cache_on_full(struct cache *c, spare_fn *fn, void *arg);
/* The store itself, for reading and serving. */
struct blobs *cache_blobs(struct cache *c);
/* Something was heard from the coordinator: what waits for a retry is tried now. */
void cache_hurry(struct cache *c);

#endif
