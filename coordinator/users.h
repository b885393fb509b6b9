/* SPDX-License-Identifier: Apache-2.0
 *
 * users.h: the workers that hold leases of jobs that use a blob, or held some lately: they have it, or fetch it.
 *
 * Found by walking the scheduler's leases a part at a time, from where the last look ended, so that a look costs no more
 * when there are a hundred thousand; USERS_LOOK_MAX leases each, USERS_WINDOW_MAX in USERS_WINDOW_MS for all blobs
 * together. Up to USERS_LOOK_MAX leases in all, each look sees all of them.
 */
#ifndef COORDINATOR_USERS_H
#define COORDINATOR_USERS_H

#include "coordinator/sched.h"

#define USERS_KEPT 256 /* of a blob */
#define USERS_BLOBS 64
#define USERS_LOOK_MAX 16384
#define USERS_WINDOW_MAX ((size_t)4 * USERS_LOOK_MAX)
#define USERS_WINDOW_MS 100
#define USERS_AGE_MS 1000 /* a look is good for so long … */
#define USERS_PART_MS 100 /* … and one of a part of the leases */
#define USERS_LATELY_MS 600000

struct users { /* of a blob */
	struct digest digest;
	int64_t at_ms; /* of the last look; 0: empty */
	size_t next;   /* the lease that the next one begins with */
	struct {
		uint32_t worker;
		int64_t held_ms; /* its lease, last */
	} by[USERS_KEPT];
	size_t n;
};

struct finding;
/* Whether a job uses the blob. */
typedef bool uses_fn(void *arg, uint32_t job, const struct digest *d);

struct finding *finding_new(uint64_t seed, uses_fn *uses, void *arg);
void finding_free(struct finding *f); /* NULL is fine */
/* Those of the blob, after a look if one is due and there is room for it. Borrowed until the next call; workers that are
 * not online, or not among the scheduler's, are left out by looks alone. */
const struct users *finding_users(
	struct finding *f, const struct sched *d, const struct digest *blob, int64_t now_ms);
/* Leases looked at, and jobs asked about, so far. */
struct finding_cost {
	uint64_t leases, jobs;
} finding_cost(const struct finding *f);

#endif
