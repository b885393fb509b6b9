/* SPDX-License-Identifier: Apache-2.0
 *
 * users.c: who uses a blob.
 */
#include "coordinator/users.h"

#include <stdlib.h>
#include <string.h>

enum { NOT_ASKED, USES, USES_NOT }; /* of a job, in a look */

struct finding {
	struct users users[USERS_BLOBS];
	uses_fn *uses;
	void *arg;
	uint64_t rng;
	uint16_t *
		place; /* by worker, during a look: where it stands in `by`, plus one; else all zero */
	size_t n_place;
	int64_t window_ms; /* when it began */
	size_t looked;     /* leases, in this window */
	struct finding_cost cost;
};

/* A place for each worker; they only become more. */
static void grow(struct finding *f, size_t n)
{
	if (n <= f->n_place)
		return;
	n += n / 2;
	free(f->place); /* all zero */
	f->place = xcalloc(n, sizeof(*f->place));
	f->n_place = n;
}

/* Forget who is not there any more, or held its last lease too long ago. */
static void forget(struct users *u, const struct sched *d, int64_t now)
{
	for (size_t i = u->n; i-- > 0;)
		if (u->by[i].worker >= d->n_workers ||
			!worker_online(&d->workers[u->by[i].worker], now) ||
			now - u->by[i].held_ms > USERS_LATELY_MS)
			u->by[i] = u->by[--u->n];
}

/* A worker that holds a lease; when there are too many, one of the known goes by chance. */
static void add(struct finding *f, struct users *u, uint32_t worker, int64_t now)
{
	size_t at = f->place[worker] ? f->place[worker] - 1u : u->n;

	if (at == USERS_KEPT) {
		at = (size_t)rng_below(&f->rng, USERS_KEPT);
		f->place[u->by[at].worker] = 0;
	}
	u->n += at == u->n;
	u->by[at].worker = worker;
	u->by[at].held_ms = now;
	f->place[worker] = (uint16_t)(at + 1);
}

static bool asks(struct finding *f, unsigned char *known, uint32_t job, const struct digest *d)
{
	if (*known == NOT_ASKED) {
		*known = f->uses(f->arg, job, d) ? USES : USES_NOT;
		f->cost.jobs++;
	}
	return *known == USES;
}

/* n leases from u->next on, around the end. */
static void look(struct finding *f, struct users *u, const struct sched *d, size_t n, int64_t now)
{
	auto_free unsigned char *job = xcalloc(d->n_jobs + 1, 1);

	grow(f, d->n_workers + 1);
	for (size_t i = 0; i < u->n; i++)
		f->place[u->by[i].worker] = (uint16_t)(i + 1);
	for (size_t i = 0; i < n; i++, u->next++) {
		u->next = u->next < d->n_leases ? u->next : 0;
		const struct lease *l = &d->leases[u->next];

		if (l->worker != NOBODY && asks(f, &job[l->job], l->job, &u->digest) &&
			d->workers[l->worker].address[0] &&
			worker_online(&d->workers[l->worker], now))
			add(f, u, l->worker, now);
	}
	for (size_t i = 0; i < u->n; i++)
		f->place[u->by[i].worker] = 0;
	f->looked += n;
	f->cost.leases += n;
}

/* How many leases may be looked at now. */
static size_t room(struct finding *f, const struct sched *d, int64_t now)
{
	if (now - f->window_ms >= USERS_WINDOW_MS || now < f->window_ms) {
		f->window_ms = now;
		f->looked = 0;
	}
	size_t most = USERS_WINDOW_MAX - f->looked, n = d->n_leases;

	n = n < USERS_LOOK_MAX ? n : USERS_LOOK_MAX;
	return n < most ? n : most;
}

static struct users *place_of(struct finding *f, const struct digest *blob)
{
	struct users *oldest = &f->users[0];

	for (size_t i = 0; i < USERS_BLOBS; i++) {
		if (f->users[i].at_ms && digest_equal(&f->users[i].digest, blob))
			return &f->users[i];
		if (f->users[i].at_ms < oldest->at_ms)
			oldest = &f->users[i];
	}
	*oldest = (struct users){ .digest = *blob };
	return oldest;
}

const struct users *finding_users(
	struct finding *f, const struct sched *d, const struct digest *blob, int64_t now)
{
	struct users *u = place_of(f, blob);
	int64_t age = d->n_leases > USERS_LOOK_MAX ? USERS_PART_MS : USERS_AGE_MS;

	if (u->at_ms && now - u->at_ms < age)
		return u;
	size_t n = room(f, d, now);
	if (n || !d->n_leases) /* else soon */
		u->at_ms = now;
	forget(u, d, now);
	look(f, u, d, n, now);
	return u;
}

struct finding_cost finding_cost(const struct finding *f)
{
	return f->cost;
}

struct finding *finding_new(uint64_t seed, uses_fn *uses, void *arg)
{
	struct finding *f = xcalloc(1, sizeof(*f)); /* 300 KiB */

	f->rng = seed;
	f->uses = uses;
	f->arg = arg;
	return f;
}

void finding_free(struct finding *f)
{
	if (!f)
		return;
	free(f->place);
	free(f);
}
