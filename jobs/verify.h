/* SPDX-License-Identifier: Apache-2.0
 *
 * verify.h: check a results folder against nothing but itself: no grid, no network, no key of ours.
 */
#ifndef JOBS_VERIFY_H
#define JOBS_VERIFY_H

#include "jobs/tolerance.h"

/* Called for every fault: `what` is a file, or "task N"; `why` a sentence about it. */
typedef void fault_fn(void *arg, const char *what, const char *why);

struct verify {
	const char *dir;
	const char *grid, *job; /* ids or prefixes that must be met; NULL: any */
	fault_fn *fault;
	void *fault_arg;
	bool run_comparator;   /* where the job has one */
	/* out: */
	size_t faults;
	struct evidence evidence;
	struct tolerance tolerance;
};

/* Everything but reruns. 0 when there is no fault. Release in any case. */
int verify_dir(struct verify *v);
void verify_release(struct verify *v);
/* Tell of one more fault. */
void verify_fault(struct verify *v, const char *what, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
