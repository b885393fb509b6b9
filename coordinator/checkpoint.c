/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpoint.c: what a task had reached travels with its lease.
 */
#include "coordinator/checkpoint.h"

#include "common/codec.h"
#include "common/log.h"

#include <string.h>

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

static void take(struct coord *c, uint32_t worker, uint32_t at, const struct blob *b)
{
	const struct lease *l = &c->sched.leases[at];
	struct checkpoint_row row = { .index = l->index, .worker = c->sched.workers[worker].row, .net = l->voter.net,
		.owner = l->voter.owner, .relay = l->voter.relay, .blob = *b };
	int64_t size;

	if (!store_holds(c->store, &c->sched.workers[worker].id, &b->digest, &size) || size != b->size ||
		!sched_author(&c->sched, l->job, l->index, &l->voter))
		return;
	store_add_checkpoint(c->store, c->sched.jobs[l->job].row, &row);
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

static uint32_t worker_of(const struct coord *c, int64_t row)
{
	for (size_t i = 0; i < c->sched.n_workers; i++)
		if (c->sched.workers[i].row == row)
			return (uint32_t)i;
	return NOBODY;
}

/* Whether who holds the lease may go on from what that worker (the store's number) wrote. */
static bool may_inherit(const struct coord *c, const struct lease *l, int64_t author)
{
	uint32_t at = worker_of(c, author);

	return !c->sched.jobs[l->job].rule.same_class || (at != NOBODY && c->sched.workers[at].voter.kind == l->voter.kind);
}

void checkpoint_tell(struct coord *c, const struct lease *l, json_t *one)
{
	int64_t author;
	struct blob b;

	if (!travels(c, l->job) ||
		!store_newest_checkpoint(c->store, c->sched.jobs[l->job].row, l->index, &b, &author) || !may_inherit(c, l, author))
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
	if (travels(c, job))
		store_close_checkpoints(c->store, c->sched.jobs[job].row, index);
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
	uint32_t at = worker_of(c, r->worker);

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
