/* SPDX-License-Identifier: Apache-2.0
 *
 * runner.h: one box: talkoot-sandbox (or what --sandbox names) run once for one task, at idle priority.
 *
 * A box is its own process group. It dies with the worker, also when that is killed: by its parent-death signal,
 * set before the program is executed, or by the guard (guard.h), which is told of it first.
 */
#ifndef WORKER_RUNNER_H
#define WORKER_RUNNER_H

#include "common/loop.h"

struct box;

/* The box ended; `killed`: by box_kill(). It is gone after this call. */
typedef void box_fn(void *arg, bool killed);

/* argv[0] is the program's path; its standard error goes to the file `errors`, the rest to /dev/null. `guard` is
 * struct guard's fd. */
int box_start(struct box **out, struct loop *l, int guard, char *const argv[], const char *errors, box_fn *fn,
	void *arg, struct err *e);
void box_kill(struct box *b); /* fn follows */
/* Kill and wait here: for the end of the worker. fn is not called. */
void box_free(struct box *b);

#endif
