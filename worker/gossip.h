/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip.h: the worker among its peers: peers.h, done. Asks the neighbours, answers who asks, holds questions until there is
 * something new, and keeps what is known in DIR/peers over a restart.
 */
#ifndef WORKER_GOSSIP_H
#define WORKER_GOSSIP_H

#include "worker/home.h"
#include "worker/peers.h"
#include "worker/seek.h"
#include "worker/talk.h"
#include "worker/told.h"
#include "common/fetch.h"
#include "common/httpd.h"
#include "common/key.h"
#include "common/loop.h"

#define GOSSIP_SAVE_MS 10000 /* DIR/peers is written at most so often, */
#define GOSSIP_SOON_MS 500   /* and so long after something new came */

struct gossip_fns {
	/* A job is new here. From the loop. */
	void (*job)(void *arg);
	/* Its submitter, an admin or the coordinator cancelled it. */
	void (*cancel)(void *arg, const struct digest *job);
	/* The descriptor is new. */
	void (*learned)(void *arg);
	/* Other nodes are known than before. */
	void (*peers)(void *arg);
	void *arg;
};

struct gossip;

/* All is borrowed and outlives it. `self`: what our record says; its address NULL: we have none. */
struct gossip *gossip_new(const char *dir, struct loop *l, struct fetcher *f, struct home *h,
	const struct key *k, const struct talk_self *self, const struct gossip_fns *fns);
void gossip_free(struct gossip *g); /* saves first */
/* The home's descriptor changed, however it came. */
void gossip_learned(struct gossip *g);
/* What `self` says changed. */
void gossip_self_changed(struct gossip *g);
/* A node of the grid on the local network. Only the first GOSSIP_FOUND_MAX are taken: anybody there can say so. */
void gossip_found(struct gossip *g, const struct id *node, const struct endpoint *at);
#define GOSSIP_FOUND_MAX 4
/* A job that was handed to us: sign for having heard of it, and tell it at once. Nothing when our word on it is out. */
void gossip_announce(struct gossip *g, const char *line);
/* It will not be done: end what we announced. `of`: of the line. */
void gossip_withdraw(struct gossip *g, const struct digest *of);
/* The coordinator answers again. */
void gossip_hurry(struct gossip *g);
/* POST /v1/gossip came to our peer port. */
void gossip_serve(struct gossip *g, struct req *r);
/* A job's envelope, borrowed until the loop's next turn; NULL when it is not known here. */
const char *gossip_job(void *gossip, const struct digest *job, size_t *n);
/* What blobs are here for others: told to those who seek them. */
void gossip_tells(struct gossip *g, seek_count_fn *count, void *arg);
/* Peers to try for a blob, and what they did. Who asks is fetching it: the neighbours are asked who has it. */
struct sources gossip_sources(struct gossip *g);
/* Up to max nodes that lend tunnels. */
size_t gossip_relays(void *gossip, struct link *out, size_t max);
/* For told.h: the jobs heard of, at most GOSSIP_TOLD_MAX. */
void gossip_each_job(void *gossip, told_fn *fn, void *arg);
#define GOSSIP_TOLD_MAX 256
/* {"known","neighbours","facts","jobs","held","links":[…]} */
json_t *gossip_status(struct gossip *g) MUST_USE;

#endif
