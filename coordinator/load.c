/* SPDX-License-Identifier: Apache-2.0
 *
 * load.c: the state in memory, read from the store: at start, and after a commit that failed.
 *
 * Only unfinished jobs are read. A live lease gets a full term: downtime does not age it.
 */
#include "coordinator/agree.h"
#include "coordinator/checkpoint.h"
#include "coordinator/sources.h"

#include <stdlib.h>
#include <string.h>

struct loading {
	struct coord *c;
	uint32_t job;
	bool same_class;
	int64_t envelope; /* whose platform and class `kind` is */
	uint64_t kind;
};

static void load_worker(void *arg, const struct worker *row)
{
	struct coord *c = arg;
	uint32_t at = sched_add_worker(&c->sched, &row->id);

	if (at == NOBODY)
		return;
	c->sched.workers[at] = *row;
	c->sched.workers[at].voter.worker = at;
	c->sched.workers[at].voter.self = node_tag(&row->id);
	c->sched.workers[at].voter.kind = kind_tag(row->platform, row->platform_class);
}

/* The store's number of a worker, to the scheduler's: both count up from the first. */
static uint32_t worker_by_row(const struct coord *c, int64_t row)
{
	size_t low = 0, high = c->sched.n_workers;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (c->sched.workers[mid].row < row)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->sched.n_workers && c->sched.workers[low].row == row ? (uint32_t)low
	                                                                    : NOBODY;
}

static struct voter voter_of(const struct coord *c, int64_t row, network net, uint64_t owner, uint64_t relay)
{
	uint32_t at = worker_by_row(c, row);
	const struct voter *now = at == NOBODY ? NULL : &c->sched.workers[at].voter;

	return (struct voter){ at, net, owner, now ? now->self : 0, relay, now ? now->kind : 0 };
}

static void load_task(void *arg, int64_t index, enum task_state state)
{
	struct loading *l = arg;

	sched_restore_final(&l->c->sched, l->job, index, state);
}

/* What the worker signed with this result. Results of one envelope come one after the other. */
static uint64_t kind_of(struct loading *l, int64_t envelope)
{
	auto_free char *line = NULL;
	struct results r;
	struct msg m;
	struct err e;

	if (l->envelope == envelope)
		return l->kind;
	line = store_line(l->c->store, envelope);
	l->envelope = envelope;
	l->kind = 0;
	if (msg_open(&m, line, strlen(line), &l->c->id, &e))
		return 0;
	if (!results_read(&r, &m, &e)) {
		l->kind = kind_tag(r.platform, r.platform_class);
		results_release(&r);
	}
	msg_release(&m);
	return l->kind;
}

static void load_result(void *arg, const struct result_row *r)
{
	struct loading *l = arg;
	bool votes = !strcmp(r->reason, "exited") || !strcmp(r->reason, "signaled");
	struct vote v = { votes ? VOTE : ATTEMPT, r->exit == 0 && r->signal == 0,
		voter_of(l->c, r->worker, r->net, r->owner, r->relay), r->outcome, r->n };

	if (l->same_class)
		v.from.kind = kind_of(l, r->envelope);
	sched_restore_vote(&l->c->sched, l->job, r->index, &v);
}

static void load_answerer(void *arg, int64_t worker)
{
	struct loading *l = arg;

	sched_restore_had(&l->c->sched, l->job, worker_by_row(l->c, worker));
}

static void load_lease(void *arg, const struct lease_row *r)
{
	struct loading *l = arg;
	struct voter voter = voter_of(l->c, r->worker, r->net, r->owner, r->relay);
	struct lease lease = {
		.worker = voter.worker, .job = l->job, .index = r->index, .voter = voter
	};

	if (voter.worker == NOBODY)
		return;
	if (!strcmp(r->state, "expired")) {
		sched_restore_vote(&l->c->sched, l->job, r->index,
			&(struct vote){ .kind = EXPIRED, .from = voter });
		return;
	}
	memcpy(lease.id, r->id, sizeof(lease.id));
	sched_restore_lease(&l->c->sched, &lease, coord_now(l->c));
}

static int load_job(struct coord *c, const struct job_row *row, struct err *e)
{
	auto_free char *line = store_line(c->store, row->envelope);
	struct job *job = xcalloc(1, sizeof(*job));
	struct msg m;

	if (msg_open(&m, line, strlen(line), &c->id, e) || job_read(job, &m, e)) {
		free(job);
		return err_wrap(e, "reading job %lld of the database", (long long)row->n);
	}
	msg_release(&m);
	struct loading l = { .c = c, .job = sched_add_job(&c->sched, job, row->n), .same_class = job->same_class };
	array_room(&c->manifests, &c->manifests_room, l.job, sizeof(struct job *));
	c->manifests[l.job] = job;
	sources_add(c, l.job);
	store_each_task(c->store, row->n, load_task, &l);
	checkpoint_load(c, l.job, true);
	store_each_result(c->store, row->n, load_result, &l);
	checkpoint_load(c, l.job, false);
	store_each_lease(c->store, row->n, load_lease, &l);
	if (job->n_local)
		store_each_answerer(c->store, row->n, load_answerer, &l);
	sched_restore_done(&c->sched, l.job);
	if (!strcmp(row->state, "cancelled")) {
		sched_cancel(&c->sched, l.job, NULL, 0);
		c->more = true;
	}
	return 0;
}

static uint64_t kernel_chance(void *state)
{
	static uint64_t pool[64];
	static size_t left;

	(void)state;
	if (left == 0) {
		random_bytes(pool, sizeof(pool));
		left = ARRAY_LEN(pool);
	}
	return pool[--left];
}

void coord_unload(struct coord *c)
{
	for (size_t i = 0; i < c->sched.n_jobs; i++)
		if (!c->sched.jobs[i].gone) {
			sources_drop(c, (uint32_t)i);
			job_release(c->manifests[i]);
			free(c->manifests[i]);
		}
	sched_release(&c->sched);
	c->n_decided = 0;
}

int coord_load(struct coord *c, struct err *e)
{
	struct job_row rows[64];
	int64_t after = 0;
	size_t n;

	sched_init(&c->sched, c->o.by, (struct chance){ kernel_chance, NULL });
	c->sched.relating = agree_begin(c->agree);
	store_counts(c->store, &c->counts);
	c->agreed = c->told_agreed = store_meta(c->store, "agreed");
	c->disagreed = c->told_disagreed = store_meta(c->store, "disagreed");
	store_each_worker(c->store, load_worker, c);
	while ((n = store_jobs(c->store, after, true, rows, ARRAY_LEN(rows))) > 0) {
		for (size_t i = 0; i < n; i++)
			if (load_job(c, &rows[i], e))
				return -1;
		after = rows[n - 1].n;
	}
	return 0;
}
