/* SPDX-License-Identifier: Apache-2.0
 *
 * seeking.h: seek.h, done: the neighbours are asked who has the blobs that are fetched here, and those who ask us are told.
 */
#ifndef WORKER_SEEKING_H
#define WORKER_SEEKING_H

#include "worker/home.h"
#include "worker/peers.h"
#include "worker/seek.h"
#include "worker/talk.h"
#include "common/fetch.h"
#include "common/loop.h"

struct seeking;

/* All is borrowed and outlives it. `self`: its address NULL: nobody can dial us. */
struct seeking *seeking_new(struct loop *l, struct fetcher *f, struct home *h, const struct id *id,
	const struct talk_self *self, struct peers *p);
void seeking_free(struct seeking *s); /* NULL is fine */
/* What is here for others; until it is told, nothing. */
void seeking_tells(struct seeking *s, seek_count_fn *count, void *arg);
/* The blob is being fetched: links of at most max nodes that were heard to have it, and it is sought from now on. */
size_t seeking_list(struct seeking *s, const struct digest *d, struct link *out, size_t max);
/* A neighbour's question came: take what it tells, and add what it seeks to its answer. */
void seeking_asked(struct seeking *s, const struct say *q, struct say *out);

#endif
