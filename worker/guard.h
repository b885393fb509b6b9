/* SPDX-License-Identifier: Apache-2.0
 *
 * guard.h: a small process that outlives the worker by a moment, to end the boxes that it left.
 *
 * A parent-death signal reaches the box's first process only, is lost when that changes its user, and does not pass
 * through a wrapper script. The guard is told of every box's process group; when the worker is gone, however it went,
 * the guard bids what is left of them end, kills it after a moment, and ends too.
 */
#ifndef WORKER_GUARD_H
#define WORKER_GUARD_H

#include "common/base.h"
#include "common/err.h"

#include <sys/types.h>

struct guard {
	int fd; /* records go in here; its end is our end. -1: no guard */
	pid_t pid;
};

/* Call before there is much memory to fork. */
int guard_start(struct guard *g, struct err *e);
void guard_stop(struct guard *g);

/* One write each, so they may be called between vfork() and execve(): by the box itself, before it can
 * leave anything behind. */
void guard_add(int fd, pid_t group);
void guard_drop(int fd, pid_t group);

#endif
