/* SPDX-License-Identifier: Apache-2.0
 *
 * talk.h: one ask at a time to the coordinator, its answer verified and put into the agent's words.
 */
#ifndef WORKER_TALK_H
#define WORKER_TALK_H

#include "worker/agent.h"
#include "worker/claims.h"
#include "worker/home.h"
#include "worker/local.h"
#include "worker/notes.h"
#include "worker/terms.h"
#include "common/fetch.h"
#include "common/key.h"
#include "common/loop.h"
#include "jobs/job.h"

/* What an ask says of the worker; the profiles and bits may change between two asks, the rest does not. All borrowed. */
struct talk_self {
	int slots, cpus;
	int64_t memory_mib, disk_mib;
	unsigned profiles; /* 1 << enum job_profile */
	const char *platform, *platform_class, *agent;
	const struct terms *terms;
	struct claims *claims;
	unsigned bits; /* of those that the terms allow: what the box can give */
	bool relays; /* lends tunnels to the coordinator */
	const char *address; /* HOST:PORT of the peer port; NULL: none is told */
	const struct local *local; /* NULL: no data of the owner's */
};

struct talk_fns {
	void (*heard)(void *arg, const struct agent_answer *answer);
	/* No good answer, and why; as agent_unheard(). `other`: there is another way, not tried yet. */
	void (*unheard)(void *arg, bool anew, int64_t retry_ms, bool other, const struct err *e);
	void *arg;
};

struct talk;

/* Everything is borrowed and outlives the talk. */
struct talk *talk_new(struct fetcher *f, struct home *h, struct notes *n, const struct key *k,
	const struct talk_self *self, const struct talk_fns *fns);
void talk_free(struct talk *t);
/* Send; one that is out is dropped for it. Exactly one of the two functions is called, from the loop, for
 * the last one sent. -1: it could not be built, and nothing will be called. */
int talk_ask(struct talk *t, const struct agent_ask *ask, struct err *e);

#endif
