/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpoint.c: what a task had reached travels with its lease.
 */
#include "coordinator/checkpoint.h"

#include "common/codec.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

#define ENDED_MAX 4096 /* checkpoints removed at the end of a job, so that removing is a moment; more stay */

static bool travels(const struct coord *c, uint32_t job)
{
	return c->manifests[job]->checkpoint == CHECKPOINT_TRAVELS;
}

/* The live lease that is meant, of this worker and of a job whose checkpoints travel; or NOBODY. */
static uint32_t lease_meant(const struct coord *c, uint32_t worker, const char *hex)
{
	unsigned char id[LEASE_ID_BYTES];
	uint32_t at = hex_decode(id, sizeof(id), hex) ? sched_find_lease(&c->sched, id) : NOBODY;

	if (at == NOBODY || c->sched.leases[at].worker != worker || !travels(c, c->sched.leases[at].job))
		return NOBODY;
	return at;
}

/* Nobody was told of them, so nobody asks for them: else a task that writes for days fills this disk. */
static void drop_blobs(struct coord *c, const struct digest *list, size_t n)
{
	struct err e;

	for (size_t i = 0; i < n; i++)
		if (store_drop_blob(c->store, &list[i]) && blob_remove(c->blobs, &list[i], &e))
			log_warn("a checkpoint that is not needed: %s", e.msg);
}

static void take(struct coord *c, uint32_t worker, uint32_t at, const struct blob *b)
{
	const struct lease *l = &c->sched.leases[at];
	struct checkpoint_row row = { .index = l->index, .worker = c->sched.workers[worker].row, .net = l->voter.net,
		.owner = l->voter.owner, .relay = l->voter.relay, .blob = *b };
	struct digest old;
	int64_t size;

	if (b->size > JOB_CHECKPOINT_BYTES_MAX || !store_holds(c->store, &c->sched.workers[worker].id, &b->digest, &size) || size != b->size ||
		!sched_author(&c->sched, l->job, l->index, &l->voter))
		return;
	size_t n = store_open_checkpoints(c->store, c->sched.jobs[l->job].row, l->index, row.worker, &old, 1);
	store_add_checkpoint(c->store, c->sched.jobs[l->job].row, &c->sched.workers[worker].id, &row);
	drop_blobs(c, &old, n);
	log_debug("task %lld: a checkpoint of %lld bytes", (long long)l->index, (long long)b->size);
}

void checkpoint_take(struct coord *c, uint32_t worker, const json_t *ask)
{
	json_t *j;
	size_t i;

	json_array_foreach(json_object_get(ask, "checkpoints"), i, j) {
		uint32_t at = lease_meant(c, worker, jtext(j, "lease"));
		struct blob b;

		blob_from_json(&b, json_object_get(j, "blob"));
		if (at != NOBODY)
			take(c, worker, at, &b);
	}
}

/* Whether who holds the lease may go on from what that worker (the store's number) wrote. */
static bool may_inherit(const struct coord *c, const struct lease *l, int64_t author)
{
	uint32_t at = worker_by_row(c, author);

	return !c->sched.jobs[l->job].rule.same_class || (at != NOBODY && c->sched.workers[at].voter.kind == l->voter.kind);
}

void checkpoint_tell(struct coord *c, const struct lease *l, json_t *one)
{
	int64_t author;
	struct blob b;

	if (!travels(c, l->job) ||
		!store_newest_checkpoint(c->store, c->sched.jobs[l->job].row, l->index, &b, &author) || !may_inherit(c, l, author) ||
		blob_size(c->blobs, &b.digest) != b.size) /* a damaged one is gone: the task begins anew */
		return;
	store_add_blob(c->store, &b.digest, b.size, true, NULL); /* who is told its digest may fetch it */
	json_object_set_new(one, "checkpoint", blob_to_json(&b));
}

int checkpoint_check_result(struct coord *c, uint32_t job, const struct result *r, struct err *e)
{
	if (!r->has_inherited)
		return 0;
	if (travels(c, job) && store_has_checkpoint(c->store, c->sched.jobs[job].row, r->index, &r->inherited))
		return 0;
	return err_field(e, "inherited", "task %lld was handed no such checkpoint", (long long)r->index);
}

void checkpoint_close(struct coord *c, uint32_t job, int64_t index)
{
	struct digest list[AUTHORS_MAX];
	size_t n;

	if (!travels(c, job))
		return;
	n = store_open_checkpoints(c->store, c->sched.jobs[job].row, index, 0, list, AUTHORS_MAX);
	store_close_checkpoints(c->store, c->sched.jobs[job].row, index);
	drop_blobs(c, list, n);
}

void checkpoint_end_job(struct coord *c, uint32_t job)
{
	int64_t row = c->sched.jobs[job].row;
	struct digest *list;
	size_t n;

	if (!travels(c, job))
		return;
	list = xcalloc(ENDED_MAX, sizeof(*list));
	n = store_job_checkpoints(c->store, row, list, ENDED_MAX);
	store_close_job_checkpoints(c->store, row);
	drop_blobs(c, list, n);
	free(list);
}

struct loading {
	struct coord *c;
	uint32_t job;
	bool closed;
};

static void load(void *arg, const struct checkpoint_row *r)
{
	struct loading *l = arg;
	struct coord *c = l->c;
	uint32_t at = worker_by_row(c, r->worker);

	if (at == NOBODY || r->closed != l->closed || TASK_IS_FINAL(c->sched.jobs[l->job].tasks[r->index].state))
		return;
	sched_author(&c->sched, l->job, r->index,
		&(struct voter){ at, r->net, r->owner, c->sched.workers[at].voter.self, r->relay,
			c->sched.workers[at].voter.kind });
}

void checkpoint_load(struct coord *c, uint32_t job, bool closed)
{
	struct loading l = { c, job, closed };

	if (travels(c, job))
		store_each_checkpoint(c->store, c->sched.jobs[job].row, load, &l);
}
