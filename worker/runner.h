/* SPDX-License-Identifier: Apache-2.0
 *
 * runner.h: one box: made by a keeper (keeper.h), or talkoot-sandbox (or what --sandbox names) run once for
 * one task, at idle priority.
 *
 * One that is run is its own process group. It dies with the worker, also when that is killed: by its parent-death
 * signal, set before the program is executed, or by the guard (guard.h), which is told of it first.
 */
#ifndef WORKER_RUNNER_H
#define WORKER_RUNNER_H

#include "common/loop.h"
#include "worker/keeper.h"

struct box;

/* The box ended, and is gone after this call. `why`, borrowed: NULL, or why no box can have left anything. */
typedef void box_fn(void *arg, const char *why);

/* Run `line` (taken, whatever comes of it): in `k` if there is one, it has room and the words fit a packet, else by itself. Then
 * its standard error goes to the file `errors`, the rest to /dev/null, and `guard` is struct guard's fd. */
int box_begin(struct box **out, struct keeper *k, struct loop *l, int guard, struct line *line, const char *errors,
	box_fn *fn, void *arg, struct err *e);
/* How long it runs; 0: it waits for its keeper. */
int64_t box_ran_ms(const struct box *b);
/* One that is run by itself: stop it where it stands, or let it go on. Of a keeper's see keeper_hold(). */
void box_hold(struct box *b, bool hold);
void box_kill(struct box *b); /* fn follows, or is called in here when the box only waited */
/* Kill it; one that is run is waited for. For the end of the worker. fn is not called. */
void box_free(struct box *b);

#endif
