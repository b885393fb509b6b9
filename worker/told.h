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
		state; /* "carried": not with the coordinator yet; "announced" by it; "heard" of from others */
	int64_t age_ms; /* since the coordinator said anything; 0 of what is carried */
};

typedef void told_fn(void *arg, const struct told_job *job);

/* Somebody who knows jobs: calls fn for each. */
struct teller {
	void (*each)(void *teller_arg, told_fn *fn, void *arg);
	void *arg;
};
#define TELLERS_MAX 4

/* What was read of jobs, by id: an id is the digest of the signed bytes, so it is read, and its signature checked, once.
 * All zero: none. */
#define TOLD_KEPT_MAX 256
struct told_kept {
	struct told_job jobs[TOLD_KEPT_MAX];
	size_t n, next; /* next: whose place a new one takes when all are taken */
};
/* The job of that id: as kept, else as `read` fills it in, which is kept. NULL: read said false, nothing is kept.
 * Valid until the next call. */
const struct told_job *told_once(struct told_kept *k, const struct digest *id,
	bool (*read)(void *arg, struct told_job *out), void *arg);

/* {"jobs":[JOB,…],"next":null}, at most 1000; and one JOB, NULL when nobody knows it. Yours. */
char *told_list(const struct teller *tellers, size_t n) MUST_USE;
char *told_one(const struct teller *tellers, size_t n, const struct digest *id) MUST_USE;

#endif
