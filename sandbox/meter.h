/* SPDX-License-Identifier: Apache-2.0
 *
 * meter.h: what one box has used so far, put together from all that can tell.
 *
 *	CPU time  the largest of: the sum over its processes and those that ended (crowd.h), a
 *	          cgroup's (limit.h, pen.h), and where there is none the kernel's counter (counter.h)
 *	memory    the sum over its processes and what hoard.h finds
 *
 * None of them counts what was not used, so the largest is the truest.
 */
#ifndef SANDBOX_METER_H
#define SANDBOX_METER_H

#include "sandbox/counter.h"
#include "sandbox/crowd.h"
#include "sandbox/limit.h"

#define METER_SOON_US 2000 /* to the next look at a box whose processes are forgotten uncounted */
#define METER_HOARD_US 250000 /* between two looks for what the kernel keeps */
#define METER_HOARD_MAX_US 500000
/* Of the time that looking may take: a tenth; a look at a box of very many processes, a third. */
#define METER_PART 10
#define METER_LARGE_PART 2
#define METER_LATEST_US 400000 /* a limit has to be seen within a second */

struct meter {
	struct crowd crowd;
	struct counter counter;
	struct pen pen;
	bool looked, forgets;
	int64_t took_us; /* the last look, of processor time */
	int64_t base_us; /* used before pen or counter began */
	int64_t hoard_kib, next_hoard_us;
};

/* What is looked at. */
struct meter_of {
	int proc;
	pid_t init;
	bool forks; /* it may start processes */
	const struct box_limits *limits;
	struct limit_cgroup *cgroup;
	struct limit_cgroups *enter; /* it was born in no cgroup: where it gets one; or NULL */
	int64_t bytes;               /* that one's limit */
	int64_t names;               /* in /out and /tmp; -1: it has no /proc */
};

/* All zero is a new one. `now_us` is a steady clock's. */
void meter_look(struct meter *m, struct limit_use *u, const struct meter_of *of, int64_t now_us);
/* When to look again at the latest; `usual_us`: when nothing hurries. */
int64_t meter_pause_us(const struct meter *m, int64_t usual_us);

/* Stop all of its processes, or let them go on. `of` as in the looks. */
void meter_hold(const struct meter *m, const struct meter_of *of);
void meter_release(const struct meter *m, const struct meter_of *of);

void meter_drop(struct meter *m);

#endif
