/* SPDX-License-Identifier: Apache-2.0
 *
 * waiters.h: who waits for one thing, and is told once how it went.
 *
 * While they are told, any of them may be dropped and others may come. What they wait for has to stay meanwhile:
 * waiters_none() says when it may go.
 */
#ifndef WORKER_WAITERS_H
#define WORKER_WAITERS_H

#include "common/err.h"

/* e NULL: it went well. */
typedef void waiter_fn(void *arg, const struct err *e);

/* It stands first in what is allocated for it. */
struct waiter {
	waiter_fn *fn; /* NULL: was called, or is not to be */
	void *arg;
	struct waiter *next;
};

struct waiters {
	struct waiter *first;
	bool telling;
};

void waiters_add(struct waiters *all, struct waiter *w, waiter_fn *fn, void *arg);
/* Unlink it and free it. */
void waiters_drop(struct waiters *all, struct waiter *w);
void waiters_drop_all(struct waiters *all);
/* Call each that was not called yet. Not from within itself. */
void waiters_tell(struct waiters *all, const struct err *e);

static inline bool waiters_none(const struct waiters *all)
{
	return !all->first && !all->telling;
}

#endif
