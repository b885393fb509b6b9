/* SPDX-License-Identifier: Apache-2.0
 *
 * crowd.h: CPU time of a box's processes that have ended.
 *
 * A parent that waits for its children has their time in a sum of its own. One that ignores SIGCHLD has
 * not: the kernel forgets such children, and what they had waited for. So each process that is seen is
 * remembered, and counts with what it had when it was last seen.
 *
 * Nothing is ever counted that was not used. What is missed: the time between the last look at a
 * forgotten process and its end; and where a box has waited for some and forgotten others, the
 * smaller of both sums, so at most half.
 */
#ifndef SANDBOX_CROWD_H
#define SANDBOX_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct crowd_one {
	pid_t pid;
	int64_t own_us;
};

struct crowd {
	struct crowd_one *known; /* as of the last look, by pid */
	size_t n;
	int64_t gone_us;   /* what those had that are not there any more */
	int64_t waited_us; /* the last whole sum of what was waited for */
	int64_t lost_us;   /* of such sums, what ended with who had waited */
};

/* A look: `now` are those who are there, by pid; `waited_us` the sum of what all of them (and the init)
 * have waited for. `whole`: nobody was missed. `now` is copied. Gives the time of all that have ended.
 * Pure, but for memory: without it nothing is remembered from this look to the next. */
int64_t crowd_look(
	struct crowd *c, const struct crowd_one *now, size_t n, int64_t waited_us, bool whole);

/* Whether somebody's time is in no sum: then it is worth looking often. */
bool crowd_forgets(const struct crowd *c);

void crowd_release(struct crowd *c);

#endif
