/* SPDX-License-Identifier: Apache-2.0
 *
 * told.h: what a worker can tell of jobs while the coordinator is silent, and who in it knows some.
 */
#ifndef WORKER_TOLD_H
#define WORKER_TOLD_H

#include "common/digest.h"
#include "common/id.h"

struct told_job {
	struct digest id;
	struct id submitter;
	char name[201];
	int64_t count;
	const char *
		state; /* "carried": not with the coordinator yet; "known": it has or had work of it; "announced", "heard": by gossip */
	int64_t age_ms; /* how old this knowledge is */
};

typedef void told_fn(void *arg, const struct told_job *job);

/* Somebody who knows jobs: calls fn for each. */
struct teller {
	void (*each)(void *teller_arg, told_fn *fn, void *arg);
	void *arg;
};
#define TELLERS_MAX 4

/* {"jobs":[JOB,…],"next":null}, at most 1000; and one JOB, NULL when nobody knows it. Yours. */
char *told_list(const struct teller *tellers, size_t n) MUST_USE;
char *told_one(const struct teller *tellers, size_t n, const struct digest *id) MUST_USE;

#endif
