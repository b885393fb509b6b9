/* SPDX-License-Identifier: Apache-2.0
 *
 * reach.h: whether others can reach this worker, learned by asking to be called back (dialback.h). When to ask again
 * and what to believe; no socket and no clock in here, probe.h has them.
 *
 *	unknown --yes--> reachable --no, twice running--> unreachable --yes--> reachable
 *	        --no---> unreachable
 */
#ifndef WORKER_REACH_H
#define WORKER_REACH_H

#include "common/base.h"

#define REACH_YES_MS (30 * 60 * 1000)       /* an address of a home line may change */
#define REACH_NO_MS (10 * 60 * 1000)        /* a router may have been told meanwhile */
#define REACH_DOUBT_MS (60 * 1000)          /* after the first no of a reachable one */
#define REACH_RETRY_MIN_MS 2000             /* nobody answered the question: doubled … */
#define REACH_RETRY_MAX_MS (10 * 60 * 1000) /* … up to this */

enum reach_state { REACH_UNKNOWN, REACH_YES, REACH_NO };

struct reach {
	enum reach_state state;
	bool doubted;
	int fails; /* running */
	int64_t next_ms;
	uint64_t seed;
};

void reach_init(struct reach *r, uint64_t seed, int64_t now_ms);
/* In how many ms to ask; 0: now. */
int64_t reach_wait(const struct reach *r, int64_t now_ms);
/* We were called back, or were not. Whether the state changed. */
bool reach_told(struct reach *r, bool reached, int64_t now_ms);
/* The question was not answered, at least not for retry_ms (0: not told). */
void reach_unanswered(struct reach *r, int64_t retry_ms, int64_t now_ms);

#endif
