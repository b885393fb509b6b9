/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.c: see sources.h. Who waits, and for whom.
 */
#include "coordinator/sources_in.h"

#include <stdlib.h>
#include <string.h>

/* --- the decision --------------------------------------------------------------------------------- */

enum source_says source_judge(const struct job_row *row, bool all, char why[SOURCES_WHY_MAX])
{
	char id[DIGEST_HEX + 1];

	digest_hex(id, &row->id);
	if (!strcmp(row->state, "cancelled")) {
		snprintf(why, SOURCES_WHY_MAX, "job %.*s, which it waits for, was cancelled",
			SHORT_ID, id);
		return SOURCE_NEVER;
	}
	if (strcmp(row->state, "done") != 0)
		return SOURCE_WAIT;
	if (all && row->failed > 0) {
		snprintf(why, SOURCES_WHY_MAX,
			"job %.*s, which it waits for, has %lld failed task%s", SHORT_ID, id,
			(long long)row->failed, row->failed == 1 ? "" : "s");
		return SOURCE_NEVER;
	}
	return SOURCE_READY;
}

int64_t source_count(struct coord *c, const struct digest *job)
{
	struct job_row row;

	return store_job(c->store, job, &row) ? row.count : 0;
}

/* --- who waits ------------------------------------------------------------------------------------ */

static enum source_says judge_all(struct coord *c, const struct job *job, char why[SOURCES_WHY_MAX])
{
	struct job_wait waits[JOB_WAITS_MAX];
	size_t n = job_waits(job, waits);
	enum source_says all = SOURCE_READY;
	struct job_row row;

	for (size_t i = 0; i < n; i++) {
		enum source_says one = store_job(c->store, &waits[i].job, &row)
		                               ? source_judge(&row, waits[i].all, why)
		                               : SOURCE_WAIT;

		if (one == SOURCE_NEVER)
			return one;
		if (one == SOURCE_WAIT)
			all = one;
	}
	return all;
}

static void give_up(struct coord *c, uint32_t at, const char *why)
{
	struct digest id = c->sched.jobs[at].id;
	struct err e;

	cancel_job(c, &id, why, &e);
}

/* False: it is not done with; look again in the next turn. */
static bool look(struct coord *c, uint32_t at)
{
	char why[SOURCES_WHY_MAX];
	enum source_says says = judge_all(c, c->manifests[at], why);
	struct err e;

	if (says == SOURCE_NEVER)
		give_up(c, at, why);
	if (says != SOURCE_READY)
		return true;
	int done = c->sources->at[at]->resolved || !job_has_sources(c->manifests[at])
	                   ? 1
	                   : resolve_files(c, at, &e);
	if (done > 0)
		done = resolve_each(c, at, &e);
	if (done < 0)
		give_up(c, at, e.msg);
	if (done <= 0)
		return done < 0;
	c->sched.jobs[at].waits = false;
	c->sched.stirred = true;
	return true;
}

void sources_turn(struct coord *c)
{
	struct sources *s = c->sources;

	if (!s->stirred)
		return;
	for (int i = 0; i < SOURCES_LOOK_STEP && s->next < c->sched.n_jobs; s->next++) {
		const struct sjob *j = &c->sched.jobs[s->next];

		if (j->gone || j->ending || !j->waits)
			continue;
		i++;
		if (!look(c, s->next))
			break;
	}
	if (s->next >= c->sched.n_jobs) {
		s->next = 0;
		s->stirred = s->again;
		s->again = false;
	}
	c->more |= s->stirred;
}

void sources_stir(struct coord *c)
{
	struct sources *s = c->sources;

	s->again |= s->stirred;
	s->stirred = true;
	c->more = true;
}

/* --- coming and going ----------------------------------------------------------------------------- */

struct sources *sources_new(void)
{
	return xcalloc(1, sizeof(struct sources));
}

static void supply_free(struct supply *s)
{
	if (s)
		inputs_release(&s->inputs);
	free(s);
}

void sources_free(struct sources *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->room; i++)
		supply_free(s->at[i]);
	results_release(&s->last);
	found_free(s->found);
	free(s->at);
	free(s);
}

void sources_add(struct coord *c, uint32_t at)
{
	struct sources *s = c->sources;
	struct job_wait waits[JOB_WAITS_MAX];
	size_t was = s->room;

	if (!job_waits(c->manifests[at], waits))
		return;
	if (at >= s->room) {
		s->room = at + 64;
		s->at = xrealloc(s->at, s->room, sizeof(struct supply *));
		memset(s->at + was, 0, (s->room - was) * sizeof(struct supply *));
	}
	s->at[at] = xcalloc(1, sizeof(struct supply));
	s->envelope = 0; /* perhaps everything was read anew, and numbers stand for others */
	c->sched.jobs[at].waits = true;
	resolve_recall(c, at);
	sources_stir(c);
}

struct supply *supply_of(const struct coord *c, uint32_t at)
{
	return at < c->sources->room ? c->sources->at[at] : NULL;
}

void sources_drop(struct coord *c, uint32_t at)
{
	supply_free(supply_of(c, at));
	if (at < c->sources->room)
		c->sources->at[at] = NULL;
	found_free(TAKE(c->sources->found)); /* all is read anew, and perhaps a verdict was not kept */
}

/* --- a new job ------------------------------------------------------------------------------------ */

static int check_source(
	const struct job_source *from, const struct job_row *row, int64_t *parts, struct err *e)
{
	if (from->index >= row->count)
		return err_field(e, "files.from.index", "is %lld, but that job has %lld tasks",
			(long long)from->index, (long long)row->count);
	*parts += from->index < 0 ? row->count : 1;
	return *parts <= INPUTS_PARTS_MAX
	               ? 0
	               : err_field(e, "files.from", "more than %d outputs of other jobs",
				 INPUTS_PARTS_MAX);
}

int sources_check(struct coord *c, const struct job *job, struct err *e)
{
	struct job_wait waits[JOB_WAITS_MAX];
	size_t n = job_waits(job, waits);
	char id[DIGEST_HEX + 1];
	int64_t parts = 0;
	struct job_row row;

	for (size_t i = 0; i < n; i++) {
		digest_hex(id, &waits[i].job);
		if (!store_job(c->store, &waits[i].job, &row))
			return err_set(e, ERR_UNKNOWN_JOB,
				"job %s, which it waits for, is not known here", id);
	}
	for (size_t i = 0; i < job->n_files; i++)
		if (job->files[i].from &&
			(!store_job(c->store, &job->files[i].source.job, &row) ||
				check_source(&job->files[i].source, &row, &parts, e)))
			return -1;
	if (job->tasks == TASKS_EACH && source_count(c, &job->each.job) != job->count)
		return err_field(e, "tasks.each.count", "is %lld, but that job has %lld tasks",
			(long long)job->count, (long long)source_count(c, &job->each.job));
	return 0;
}

/* --- what is told --------------------------------------------------------------------------------- */

/* Tasks of a job that are final; all of them, when it is over. */
static int64_t final_of(const struct coord *c, const struct job_row *row)
{
	uint32_t at = sched_job(&c->sched, &row->id);
	const int64_t *t = at == NOBODY ? NULL : c->sched.jobs[at].tally;

	return t ? t[TASK_VALID] + t[TASK_FAILED] + t[TASK_CANCELLED] : row->count;
}

void sources_waiting(struct coord *c, uint32_t at, char *out, size_t size)
{
	struct job_wait waits[JOB_WAITS_MAX];
	size_t n = job_waits(c->manifests[at], waits), open = 0;
	char id[DIGEST_HEX + 1], why[SOURCES_WHY_MAX];
	struct job_row row;

	snprintf(out, size, "its inputs are being found");
	for (size_t i = 0; i < n; i++) {
		if (!store_job(c->store, &waits[i].job, &row) ||
			source_judge(&row, waits[i].all, why) != SOURCE_WAIT || open++)
			continue;
		digest_hex(id, &row.id);
		snprintf(out, size, "for job %.*s (%lld of %lld done)", SHORT_ID, id,
			(long long)final_of(c, &row), (long long)row.count);
	}
	size_t len = strlen(out);
	if (open > 1)
		snprintf(out + len, size - len, " and %zu more job%s", open - 1,
			open == 2 ? "" : "s");
}
