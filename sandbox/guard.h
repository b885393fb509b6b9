/* SPDX-License-Identifier: Apache-2.0
 *
 * guard.h: a process that outlives its keeper by a moment, to remove the keeper's cgroups when it was
 * killed. The kernel ends the boxes of a dead keeper, but nobody removes an empty cgroup.
 */
#ifndef SANDBOX_GUARD_H
#define SANDBOX_GUARD_H

#include <sys/types.h>

#define GUARD_FOLDERS 2

struct guard {
	/* set before it is started */
	int parents[GUARD_FOLDERS];          /* folders in which cgroups are made; -1: none */
	const unsigned *made[GUARD_FOLDERS]; /* how many so far: it looks when it is time */
	/* its own */
	pid_t keeper, pid; /* pid 0: not started */
	int life[2];       /* a pipe whose writing end is held by nobody but the keeper */
	void *stack;
};

/* `g` must stay where it is until the keeper ends: they share memory. Without one, the next launch removes
 * what is left. */
void guard_start(struct guard *g);
/* Its work is done. */
void guard_stop(struct guard *g);

#endif
