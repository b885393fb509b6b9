/* SPDX-License-Identifier: Apache-2.0
 *
 * recent.c: who had something lately.
 */
#include "common/recent.h"

#include <assert.h>
#include <string.h>

bool recent_allow(struct recent *r, const void *key, size_t n, int64_t now_ms, int64_t every_ms)
{
	size_t oldest = 0;

	assert(n > 0 && n <= RECENT_KEY_MAX);
	for (size_t i = 0; i < RECENT_MAX; i++) {
		if (r->at[i].n == n && !memcmp(r->at[i].key, key, n)) {
			oldest = i;
			break;
		}
		if (r->at[i].n == 0 || (r->at[oldest].n && r->at[i].at_ms < r->at[oldest].at_ms))
			oldest = i;
	}
	if (r->at[oldest].n && now_ms - r->at[oldest].at_ms < every_ms)
		return false;
	memcpy(r->at[oldest].key, key, n);
	r->at[oldest].n = n;
	r->at[oldest].at_ms = now_ms;
	return true;
}
