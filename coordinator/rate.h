/* SPDX-License-Identifier: Apache-2.0
 *
 * rate.h: token buckets for strangers, in a table of fixed size: who shares a bucket shares its
 * fate, and who that is depends on a seed.
 */
#ifndef COORDINATOR_RATE_H
#define COORDINATOR_RATE_H

#include "common/base.h"

#define RATE_BUCKETS 4096

struct rate {
	uint64_t seed;
	double per_s, burst;
	struct {
		double spent;
		int64_t at_ms;
	} bucket[RATE_BUCKETS];
};

/* Whether `who` has a token left now; `take` takes it. */
bool rate_ok(struct rate *r, const void *who, size_t n, int64_t now, bool take);

#endif
