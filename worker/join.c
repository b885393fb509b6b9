/* SPDX-License-Identifier: Apache-2.0
 *
 * join.c: the grid's descriptor, fetched; and the direct way to the coordinator, probed by who is relayed.
 */
#include "worker/join.h"
#include "worker/backoff.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

#define REFRESH_MS (3600 * 1000)
#define NEARBY_TIMEOUT_MS 5000
#define RETRY_KNOWN_MS (60 * 1000) /* a refresh is not urgent */

struct join {
	struct loop *loop;
	struct fetcher *fetcher;
	struct home *home;
	loop_fn *learned;
	void *arg;
	struct timer *timer, *probing;
	struct fetch *fetch, *probe;
	struct link to, probed;
	struct link found[JOIN_FOUND_MAX];
	size_t n_found, next_found;
	unsigned fresh; /* bits: which of `found` were not tried yet */
	bool failing, nearby; /* nearby: the last try was one of these */
	size_t turn;
	int tries;
	uint64_t seed;
	int64_t wait_ms;
	bool has_probe;
};

/* What was just found nearby, in every other try (whoever floods us with finds cannot keep us from the rest); else
 * links we were given, ways that the descriptor names, and what was found, in turn. */
static const struct link *next_link(struct join *j)
{
	const struct home *h = j->home;
	size_t i, given = h->n_joins + h->ways.n, n = given + j->n_found;

	if (!n)
		return NULL;
	j->nearby = j->fresh && (!j->nearby || !given);
	for (i = 0; j->nearby && i < j->n_found; i++)
		if (j->fresh & 1U << i) {
			j->fresh &= ~(1U << i);
			return &j->found[i];
		}
	i = j->turn++ % (j->fresh ? given : n);
	if (i < h->n_joins)
		return &h->joins[i];
	i -= h->n_joins;
	return i < h->ways.n ? &h->ways.at[i].to : &j->found[i - h->ways.n];
}

static void failed(struct join *j, const struct err *e)
{
	j->failing = true;
	int64_t wait = j->home->known ? RETRY_KNOWN_MS : backoff_ms(++j->tries, &j->seed);

	if (j->home->known)
		log_debug("the grid's descriptor from %s:%u: %s", j->to.host, j->to.port, e->msg);
	else
		log_warn("cannot join by %s:%u: %s; trying again in %lld ms", j->to.host, j->to.port, e->msg,
			(long long)wait);
	timer_in(j->timer, j->fresh ? 0 : wait);
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
	j->failing = false;
	j->fresh = 0;
	timer_in(j->timer, REFRESH_MS);
	if (!timer_is_on(j->probing))
		timer_in(j->probing, PROBE_MIN_MS);
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
	struct fetch_spec spec = { .method = "GET", .to = &j->to, .path = "/v1/grid",
		.timeout_ms = j->nearby ? NEARBY_TIMEOUT_MS : 15000 };
	j->fetch = fetch_start(j->fetcher, &spec, on_descriptor, j);
}

void join_found(struct join *j, const struct id *node, const struct endpoint *at)
{
	struct link l = link_to(node, &j->home->grid_id, at);
	size_t i = 0;

	while (i < j->n_found && !link_equal(&j->found[i], &l))
		i++;
	if (i == j->n_found) { /* a new one; when there are many it takes the oldest's place */
		i = j->next_found++ % JOIN_FOUND_MAX;
		j->found[i] = l;
		if (j->n_found < JOIN_FOUND_MAX)
			j->n_found++;
	}
	j->fresh |= 1U << i;
	if (!j->fetch && (!j->home->known || j->failing))
		timer_in(j->timer, 0);
}

/* --- a relayed worker asks now and then whether the coordinator can be reached after all --------------- */

static void look_again(struct join *j)
{
	const struct link *to = ways_probe(&j->home->ways, &j->wait_ms);

	if (to)
		j->probed = *to;
	timer_in(j->probing, to ? j->wait_ms : PROBE_MIN_MS);
	j->has_probe = to != NULL;
}

static void on_probed(void *arg, struct answer *a)
{
	struct join *j = arg;
	struct way way = { .to = j->probed };
	struct err e;

	j->probe = NULL;
	if (a->status == 200 && !home_learn(j->home, a->body.data ? a->body.data : "", a->body.len, &e)) {
		home_worked(j->home, &way, a->ip);
		j->learned(j->arg);
	}
	look_again(j);
}

static void probe(void *arg)
{
	struct join *j = arg;
	struct fetch_spec spec = { .method = "GET", .to = &j->probed, .path = "/v1/grid", .timeout_ms = 15000 };
	const struct way *way = home_way(j->home);

	if (j->has_probe && way && way->relayed)
		j->probe = fetch_start(j->fetcher, &spec, on_probed, j);
	else
		look_again(j);
}

struct join *join_new(struct loop *l, struct fetcher *f, struct home *h, loop_fn *learned, void *arg)
{
	struct join *j = xcalloc(1, sizeof(*j));

	*j = (struct join){ .loop = l, .fetcher = f, .home = h, .learned = learned, .arg = arg,
		.seed = random_seed() };
	j->timer = timer_new(l, try, j);
	j->probing = timer_new(l, probe, j);
	timer_in(j->timer, 0);
	return j;
}

void join_free(struct join *j)
{
	if (!j)
		return;
	if (j->fetch)
		fetch_cancel(j->fetch);
	if (j->probe)
		fetch_cancel(j->probe);
	timer_free(j->timer);
	timer_free(j->probing);
	free(j);
}
