/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip_in.h: what gossip.c, gossip_serve.c and gossip_jobs.c share; nobody else includes it.
 */
#ifndef WORKER_GOSSIP_IN_H
#define WORKER_GOSSIP_IN_H

#include "worker/gossip.h"
#include "worker/seeking.h"
#include "common/log.h"

#include <sys/queue.h>

#define CANCELS_MAX 64 /* noted in a turn; what is beyond is found by the coordinator's `ended` */

struct asking;
struct waiting;

struct gossip {
	struct loop *loop;
	struct fetcher *fetcher;
	struct home *home;
	const struct key *key;
	const struct talk_self *self;
	struct gossip_fns fns;
	char *path;
	struct peers *peers;
	struct seeking *seeking;
	struct heard_by by;
	struct timer *wake, *save, *renew;
	struct turn_end *turn;
	LIST_HEAD(, asking) asking;
	LIST_HEAD(, waiting) waiting;
	size_t n_waiting;
	uint64_t seed, saved_tick;
	size_t saved_known, told_known, n_found;
	int64_t saved_ms; /* of the steady clock */
	/* noted for the end of the turn */
	bool job, grid;
	struct digest cancels[CANCELS_MAX];
	size_t n_cancels;
	struct told_kept told;
};

/* Answer the held questions that have something to be told now. */
void gossip_hint(struct gossip *g);
/* Forget all that are held. */
void gossip_serve_end(struct gossip *g);

#endif
