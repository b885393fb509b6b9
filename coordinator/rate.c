/* SPDX-License-Identifier: Apache-2.0
 *
 * rate.c: a bucket fills at per_s up to burst.
 */
#include "coordinator/rate.h"

static size_t bucket_of(const struct rate *r, const unsigned char *who, size_t n)
{
	uint64_t h = r->seed;

	for (size_t i = 0; i < n; i++) {
		h ^= who[i];
		h = rng_next(&h);
	}
	return (size_t)(h % RATE_BUCKETS);
}

bool rate_ok(struct rate *r, const void *who, size_t n, int64_t now, bool take)
{
	size_t i = bucket_of(r, who, n);
	double spent = r->bucket[i].spent - r->per_s * (double)(now - r->bucket[i].at_ms) / 1000.0;

	spent = spent < 0 ? 0 : spent;
	r->bucket[i].at_ms = now;
	r->bucket[i].spent = spent;
	if (spent + 1 > r->burst)
		return false;
	r->bucket[i].spent += take;
	return true;
}
