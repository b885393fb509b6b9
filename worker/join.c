/* SPDX-License-Identifier: Apache-2.0
 *
 * join.c: the grid's descriptor, fetched.
 */
#include "worker/join.h"
#include "worker/agent.h"
#include "common/log.h"

#include <stdlib.h>

#define REFRESH_MS (3600 * 1000)
#define RETRY_KNOWN_MS (60 * 1000) /* a refresh is not urgent */

struct join {
	struct loop *loop;
	struct fetcher *fetcher;
	struct home *home;
	loop_fn *learned;
	void *arg;
	struct timer *timer;
	struct fetch *fetch;
	struct link to;
	size_t turn;
	int tries;
	uint64_t seed;
};

/* Links we were given and ways that the descriptor names, in turn. */
static const struct link *next_link(struct join *j)
{
	const struct home *h = j->home;
	size_t i, n = h->n_joins + h->n_ways;

	if (!n)
		return NULL;
	i = j->turn++ % n;
	return i < h->n_joins ? &h->joins[i] : &h->ways[i - h->n_joins];
}

static void failed(struct join *j, const struct err *e)
{
	int64_t wait = j->home->known ? RETRY_KNOWN_MS : backoff_ms(++j->tries, &j->seed);

	if (j->home->known)
		log_debug("the grid's descriptor from %s:%u: %s", j->to.host, j->to.port, e->msg);
	else
		log_warn("cannot join by %s:%u: %s; trying again in %lld ms", j->to.host, j->to.port, e->msg,
			(long long)wait);
	timer_in(j->timer, wait);
}

static void on_descriptor(void *arg, struct answer *a)
{
	struct join *j = arg;
	struct err e = a->e;

	j->fetch = NULL;
	if (a->status != 200) {
		failed(j, &e);
		return;
	}
	if (home_learn(j->home, a->body.data ? a->body.data : "", a->body.len, &e)) {
		failed(j, &e);
		return;
	}
	j->tries = 0;
	timer_in(j->timer, REFRESH_MS);
	j->learned(j->arg);
}

static void try(void *arg)
{
	struct join *j = arg;
	const struct link *to = next_link(j);
	struct err e;

	if (!to) {
		err_set(&e, ERR_UNREACHABLE, "the descriptor has no address and no link was given");
		failed(j, &e);
		return;
	}
	j->to = *to;
	struct fetch_spec spec = { .method = "GET", .to = &j->to, .path = "/v1/grid", .timeout_ms = 15000 };
	j->fetch = fetch_start(j->fetcher, &spec, on_descriptor, j);
}

struct join *join_new(struct loop *l, struct fetcher *f, struct home *h, loop_fn *learned, void *arg)
{
	struct join *j = xcalloc(1, sizeof(*j));

	*j = (struct join){ .loop = l, .fetcher = f, .home = h, .learned = learned, .arg = arg,
		.seed = random_seed() };
	j->timer = timer_new(l, try, j);
	timer_in(j->timer, 0);
	return j;
}

void join_free(struct join *j)
{
	if (!j)
		return;
	if (j->fetch)
		fetch_cancel(j->fetch);
	timer_free(j->timer);
	free(j);
}
