/* SPDX-License-Identifier: Apache-2.0
 *
 * backoff.c: see backoff.h.
 */
#include "worker/backoff.h"

int64_t backoff_ms(int tries, uint64_t *seed)
{
	int64_t base = BACKOFF_MIN_MS;

	while (--tries > 0 && base < BACKOFF_MAX_MS * 2 / 3)
		base *= 2;
	if (base > BACKOFF_MAX_MS * 2 / 3)
		base = BACKOFF_MAX_MS * 2 / 3;
	return base + (int64_t)rng_below(seed, (uint64_t)base / 2 + 1);
}
