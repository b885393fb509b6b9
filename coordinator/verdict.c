/* SPDX-License-Identifier: Apache-2.0
 *
 * verdict.c: what was decided in this turn is signed, stored and shown.
 *
 * The decided tasks of a job go into one verdict, up to 256. With its verdict a task becomes final
 * for everybody: its outputs and the results about it may be seen from the same commit on.
 */
#include "common/log.h"
#include "coordinator/checkpoint.h"
#include "coordinator/gossip.h"
#include "coordinator/sources.h"

#include <stdlib.h>
#include <string.h>

#define POSITIONS_MAX 128 /* in each list of a verdict */

void decide(struct coord *c, uint32_t job, int64_t index, enum task_state state,
	const struct verdict *v)
{
	static const struct verdict none;

	array_room(&c->decided, &c->decided_room, c->n_decided, sizeof(*c->decided));
	c->decided[c->n_decided++] = (struct decided){ job, index, state, v ? *v : none };
}

static void cancel_lease(struct coord *c, uint32_t at)
{
	struct lease l = c->sched.leases[at];

	store_end_lease(c->store, l.id, "cancelled");
	sched_give_back(&c->sched, at);
	wake_worker(c, l.worker);
}

void end_leases_after(struct coord *c, uint32_t author)
{
	uint32_t next;

	for (uint32_t at = c->sched.first_lease; at != NOBODY; at = next) {
		next = c->sched.leases[at].after;
		if (sched_is_author(&c->sched, at, author))
			cancel_lease(c, at);
	}
}

void end_leases_of(struct coord *c, uint32_t job, uint32_t worker)
{
	uint32_t next;

	for (uint32_t at = c->sched.first_lease; at != NOBODY; at = next) {
		struct lease l = c->sched.leases[at];

		next = l.after;
		if (job != NOBODY ? l.job != job : l.worker != worker)
			continue;
		cancel_lease(c, at);
	}
}

/* --- one task of a verdict ---------------------------------------------------------------- */
struct sorting {
	struct coord *c;
	const struct decided *d;
	json_t *counted, *dissent, *late;
	struct task_row *row;
};

static bool is_counted(const struct verdict *v, int64_t ref)
{
	for (int i = 0; i < v->n_counted; i++)
		if (v->counted[i] == ref)
			return true;
	return false;
}

static void sort_result(void *arg, const struct result_row *r)
{
	struct sorting *s = arg;
	bool agreed = s->d->v.what == AGREED_VALID || s->d->v.what == AGREED_FAILED;
	json_t *list = s->dissent;
	char text[DIGEST_TEXT + 1];

	if (agreed && is_counted(&s->d->v, r->n)) {
		list = s->counted;
		s->c->agreed++;
		if (s->d->state == TASK_FAILED)
			snprintf(s->row->why, sizeof(s->row->why),
				r->signal ? "signal %lld" : "exit %lld",
				(long long)(r->signal ? r->signal : r->exit));
	} else if (!strcmp(r->state, "late")) {
		list = s->late;
	} else {
		s->c->disagreed +=
			agreed && (!strcmp(r->reason, "exited") || !strcmp(r->reason, "signaled"));
	}
	digest_text(text, &r->envelope_digest);
	if (json_array_size(list) < POSITIONS_MAX)
		json_array_append_new(
			list, json_pack("{s:s,s:I}", "envelope", text, "pos", (json_int_t)r->pos));
}

static const char *why_not(const struct decided *d)
{
	return d->state == TASK_CANCELLED ? ""
	       : d->v.what == NO_RESULT   ? "no worker returned a result"
	                                  : "no agreement";
}

static json_t *judged_task(
	struct coord *c, const struct sjob *j, const struct decided *d, struct task_row *row)
{
	static const char *const names[] = {
		[TASK_VALID] = "valid", [TASK_FAILED] = "failed", [TASK_CANCELLED] = "cancelled"
	};
	struct sorting s = { c, d, json_array(), json_array(), json_array(), row };
	char outcome[DIGEST_TEXT + 1], class[32];
	bool agreed = d->v.what == AGREED_VALID || d->v.what == AGREED_FAILED;

	*row = (struct task_row){ .state = d->state };
	if (agreed)
		row->outcome = d->v.outcome;
	else
		snprintf(row->why, sizeof(row->why), "%s", why_not(d));
	store_task_results(c->store, j->row, d->index, sort_result, &s);
	digest_text(outcome, &row->outcome);
	snprintf(class, sizeof(class), "quorum:%d", j->rule.quorum);
	json_t *t = json_pack("{s:I,s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "index", (json_int_t)d->index,
		"state", names[d->state], "outcome", outcome, "class", class, "basis",
		agreed ? "agreement" : "none", "counted", s.counted, "dissent", s.dissent, "late",
		s.late);
	if (row->why[0])
		json_object_set_new(t, "why", json_string(row->why));
	return t;
}

/* --- one verdict -------------------------------------------------------------------------- */
static void record(struct coord *c, const struct decided *d, size_t n)
{
	const struct sjob *j = &c->sched.jobs[d->job];
	json_t *m = msg_new_epoch(MSG_VERDICT, &c->id, &c->id, coord_now(c), &c->epoch),
	       *tasks = json_array();
	struct task_row *rows = xcalloc(n, sizeof(*rows));
	char id[DIGEST_HEX + 1];

	digest_hex(id, &j->id);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(tasks, judged_task(c, j, &d[i], &rows[i]));
	json_object_set_new(m, "job", json_string(id));
	json_object_set_new(m, "tasks", tasks);
	auto_free char *line = seal_ours(c, m);
	int64_t verdict = store_add_verdict(c->store, j->row, line);
	for (size_t i = 0; i < n; i++) {
		store_add_task(c->store, j->row, d[i].index, &rows[i], verdict);
		store_show_task(c->store, j->row, d[i].index);
	}
	free(rows);
	meter_add(&c->tasks, coord_now(c), (int64_t)n);
}

static void end_job(struct coord *c, uint32_t at)
{
	struct sjob *j = &c->sched.jobs[at];
	char id[DIGEST_HEX + 1];

	store_finish_job(c->store, j->row, coord_now(c), j->tally[TASK_VALID],
		j->tally[TASK_FAILED], j->tally[TASK_CANCELLED]);
	digest_hex(id, &j->id);
	log_info("job %.16s is over: %lld valid, %lld failed, %lld cancelled", id,
		(long long)j->tally[TASK_VALID], (long long)j->tally[TASK_FAILED],
		(long long)j->tally[TASK_CANCELLED]);
	*(j->ending ? &c->counts.jobs_cancelled : &c->counts.jobs_done) += 1;
	c->counts.jobs_failed += !j->ending && j->tally[TASK_FAILED] > 0;
	c->counts.valid += j->tally[TASK_VALID];
	c->counts.failed += j->tally[TASK_FAILED];
	checkpoint_end_job(c, at);
	sources_drop(c, at);
	sources_stir(c);
	job_release(c->manifests[at]);
	free(c->manifests[at]);
	sched_drop_job(&c->sched, at);
	gossip_stir(c->gossip);
}

static void after_verdict(struct coord *c, uint32_t at)
{
	struct sjob *j = &c->sched.jobs[at];
	struct err e;

	if (sched_job_over(j))
		end_job(c, at);
	else if (!j->ending && j->max_failures > 0 && j->tally[TASK_FAILED] > j->max_failures)
		cancel_job(c, &j->id, "more tasks failed than max_failures", &e);
}

static int by_job_and_index(const void *a, const void *b)
{
	const struct decided *x = a, *y = b;

	if (x->job != y->job)
		return x->job < y->job ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

void record_verdicts(struct coord *c)
{
	size_t n = c->n_decided;

	if (n == 0)
		return;
	c->n_decided = 0;
	qsort(c->decided, n, sizeof(*c->decided), by_job_and_index);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i; end < n && end - i < VERDICT_TASKS_MAX &&
			      c->decided[end].job == c->decided[i].job;)
			end++;
		record(c, c->decided + i, end - i);
		if (end == n || c->decided[end].job != c->decided[i].job)
			after_verdict(c, c->decided[i].job);
	}
}

/* A cancelled job ends a bounded number of tasks a turn. */
void sweep_cancelled(struct coord *c)
{
	int64_t done[CANCEL_STEP];

	for (size_t i = 0; i < c->sched.n_jobs; i++) {
		struct sjob *j = &c->sched.jobs[i];

		if (j->gone || !j->ending)
			continue;
		size_t n = sched_cancel(&c->sched, (uint32_t)i, done, CANCEL_STEP);
		for (size_t k = 0; k < n; k++)
			decide(c, (uint32_t)i, done[k], TASK_CANCELLED, NULL);
		c->more = true;
		return;
	}
}
