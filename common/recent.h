/* SPDX-License-Identifier: Apache-2.0
 *
 * recent.h: who had something lately: a bounded memory that says "not again so soon".
 */
#ifndef COMMON_RECENT_H
#define COMMON_RECENT_H

#include "common/base.h"

#define RECENT_MAX 64     /* remembered at once */
#define RECENT_KEY_MAX 64 /* bytes of a name: an address as text, an id */

/* All zero: empty. */
struct recent {
	struct {
		unsigned char key[RECENT_KEY_MAX];
		size_t n;
		int64_t at_ms;
	} at[RECENT_MAX];
};

/* Whether the last time it was allowed to `key` (n bytes of it, 0 < n ≤ RECENT_KEY_MAX) is every_ms or more ago; then
 * now counts. With RECENT_MAX others within every_ms it is false for everybody else: a flood of
 * names gets no more than that. */
bool recent_allow(struct recent *r, const void *key, size_t n, int64_t now_ms, int64_t every_ms);

#endif
