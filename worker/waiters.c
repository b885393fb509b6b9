/* SPDX-License-Identifier: Apache-2.0
 *
 * waiters.c: see waiters.h.
 */
#include "worker/waiters.h"

#include <assert.h>
#include <stdlib.h>

void waiters_add(struct waiters *all, struct waiter *w, waiter_fn *fn, void *arg)
{
	*w = (struct waiter){ .fn = fn, .arg = arg, .next = all->first };
	all->first = w;
}

void waiters_drop(struct waiters *all, struct waiter *w)
{
	struct waiter **at = &all->first;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	free(w);
}

void waiters_drop_all(struct waiters *all)
{
	while (all->first)
		waiters_drop(all, all->first);
}

void waiters_tell(struct waiters *all, const struct err *e)
{
	struct waiter *w = all->first;

	assert(!all->telling);
	all->telling = true;
	while (w) {
		waiter_fn *fn = w->fn;

		w->fn = NULL;
		if (fn) {
			fn(w->arg, e);
			w = all->first; /* from the start: anybody may be gone */
		} else {
			w = w->next;
		}
	}
	all->telling = false;
}
