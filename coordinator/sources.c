/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.c: see sources.h.
 */
#include "coordinator/sources.h"
#include "common/log.h"
#include "coordinator/status.h"

#include <stdlib.h>
#include <string.h>

#define SHORT_ID 12 /* digits of a job's id in a sentence */

/* Of one job. While it is resolved, `file` and `index` say which output comes next. */
struct supply {
	struct inputs inputs;
	struct blob blob; /* the resolution's text, when `resolved` */
	bool resolved;
	size_t file;
	int64_t index;
};

struct sources {
	struct supply **at; /* by the scheduler's number; NULL: that job waits for none */
	size_t room;
	bool stirred, again; /* a walk goes on; and another is due after it */
	uint32_t next;       /* of the walk */
	int64_t envelope; /* the result envelope that was opened last, since outputs often come from one; 0: none */
	struct results last;
};

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

/* --- outputs of other jobs ------------------------------------------------------------------------ */

static int open_envelope(struct coord *c, int64_t envelope, struct err *e)
{
	struct sources *s = c->sources;
	auto_free char *line = store_line(c->store, envelope);
	struct msg m;

	if (s->envelope == envelope)
		return 0;
	results_release(&s->last);
	s->envelope = 0;
	if (msg_open(&m, line, strlen(line), &c->id, e))
		return -1;
	int bad = results_read(&s->last, &m, e);
	msg_release(&m);
	s->envelope = bad ? 0 : envelope;
	return bad;
}

static const struct output *output_of(const struct results *all, int64_t index, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		for (size_t k = 0; all->items[i].index == index && k < all->items[i].n_outputs; k++)
			if (!strcmp(all->items[i].outputs[k].name, name))
				return &all->items[i].outputs[k];
	return NULL;
}

/* The output of a valid task. -1: `e` is a sentence about why it has none. */
static int find_output(struct coord *c, const struct digest *job, int64_t index, const char *file,
	struct blob *out, struct err *e)
{
	char id[DIGEST_HEX + 1];
	struct job_row row;
	struct task_row task;

	digest_hex(id, job);
	if (!store_job(c->store, job, &row) || !store_task(c->store, row.n, index, &task) ||
		task.state != TASK_VALID)
		return err_set(e, ERR_NOT_FOUND,
			"task %lld of job %.*s, whose output it needs, is not valid",
			(long long)index, SHORT_ID, id);
	int64_t envelope = store_result_that_counts(c->store, row.n, index);
	if (!envelope || open_envelope(c, envelope, e))
		return err_set(e, ERR_NOT_FOUND,
			"the result of task %lld of job %.*s cannot be read", (long long)index,
			SHORT_ID, id);
	const struct output *o = output_of(&c->sources->last, index, file);
	if (!o)
		return err_set(e, ERR_NOT_FOUND, "task %lld of job %.*s left no %.60s",
			(long long)index, SHORT_ID, id, file);
	*out = (struct blob){ .digest = o->digest, .root = o->root, .size = o->size };
	return 0;
}

static int64_t count_of(struct coord *c, const struct digest *job)
{
	struct job_row row;

	return store_job(c->store, job, &row) ? row.count : 0;
}

/* --- resolving, a bounded number of outputs a turn ------------------------------------------------ */

static void keep_text(struct coord *c, uint32_t at)
{
	struct supply *s = c->sources->at[at];
	const struct job *job = c->manifests[at];
	struct pieces *p = pieces_new();
	size_t n;
	auto_free char *text = inputs_text(&s->inputs, job, &n);

	pieces_add(p, text, n);
	s->blob = (struct blob){
		.digest = digest_of(text, n), .root = pieces_end(p), .size = (int64_t)n
	};
	pieces_free(p);
	store_add_blob(c->store, &s->blob.digest, s->blob.size, true, text);
	store_set_inputs(c->store, c->sched.jobs[at].row, &s->blob.digest);
	s->resolved = true;
}

/* One more output of the file that is being resolved. */
static int find_part(struct coord *c, const struct job *job, struct supply *s, struct err *e)
{
	const struct job_source *from = &job->files[s->file].source;
	int64_t index = from->index < 0 ? s->index : from->index;
	struct blob b;

	if (find_output(c, &from->job, index, from->file, &b, e))
		return -1;
	inputs_add(&s->inputs, s->file, index, &b);
	if (from->index < 0 && ++s->index < count_of(c, &from->job))
		return 0;
	s->index = 0;
	s->file++;
	return 0;
}

/* 1: all is found, 0: more is to be done, -1: it never will be. */
static int resolve(struct coord *c, uint32_t at, struct err *e)
{
	const struct job *job = c->manifests[at];
	struct supply *s = c->sources->at[at];

	for (int i = 0; i < SOURCES_PARTS_STEP; i++) {
		while (s->file < job->n_files && !job->files[s->file].from)
			s->file++;
		if (s->file == job->n_files)
			break;
		if (find_part(c, job, s, e))
			return -1;
	}
	if (s->file < job->n_files)
		return 0;
	if (inputs_bytes(&s->inputs) > job->disk_mib * MIB)
		return err_set(e, ERR_TOO_DEMANDING,
			"its inputs have %lld bytes together, more than its %lld MiB of disk",
			(long long)inputs_bytes(&s->inputs), (long long)job->disk_mib);
	keep_text(c, at);
	return 1;
}

/* Standard output is always there; whether every task left the file is looked at before any is leased. */
static int check_each(struct coord *c, uint32_t at, struct err *e)
{
	const struct job *job = c->manifests[at];
	struct supply *s = c->sources->at[at];
	struct blob b;

	if (job->tasks != TASKS_EACH || !strcmp(job->each.file, "stdout"))
		return 1;
	for (int i = 0; i < SOURCES_PARTS_STEP && s->index < job->count; i++, s->index++)
		if (find_output(c, &job->each.job, s->index, job->each.file, &b, e))
			return -1;
	return s->index == job->count;
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
	                   : resolve(c, at, &e);
	if (done > 0)
		done = check_each(c, at, &e);
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
	free(s->at);
	free(s);
}

/* What was resolved before a restart. */
static void recall(struct coord *c, uint32_t at)
{
	struct supply *s = c->sources->at[at];
	auto_free char *text = NULL;
	struct digest d;
	struct err e;
	size_t n;

	if (!store_inputs(c->store, c->sched.jobs[at].row, &d) ||
		!(text = store_blob_bytes(c->store, &d, &n)))
		return;
	if (inputs_read(&s->inputs, c->manifests[at], text, n, &e)) {
		log_error("the stored inputs of a job cannot be read, so they are found again: %s",
			e.msg);
		inputs_release(&s->inputs);
		return;
	}
	keep_text(c, at);
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
	recall(c, at);
	sources_stir(c);
}

static struct supply *supply_of(const struct coord *c, uint32_t at)
{
	return at < c->sources->room ? c->sources->at[at] : NULL;
}

void sources_drop(struct coord *c, uint32_t at)
{
	supply_free(supply_of(c, at));
	if (at < c->sources->room)
		c->sources->at[at] = NULL;
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
	if (job->tasks == TASKS_EACH && count_of(c, &job->each.job) != job->count)
		return err_field(e, "tasks.each.count", "is %lld, but that job has %lld tasks",
			(long long)job->count, (long long)count_of(c, &job->each.job));
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

void sources_tell_job(struct coord *c, uint32_t at, json_t *lease)
{
	const struct supply *s = supply_of(c, at);

	if (s && s->resolved)
		json_object_set_new(lease, "inputs", blob_to_json(&s->blob));
}

void sources_tell_task(struct coord *c, uint32_t at, int64_t index, json_t *one)
{
	const struct job *job = c->manifests[at];
	struct blob b;
	struct err e;

	if (job->tasks != TASKS_EACH)
		return;
	if (find_output(c, &job->each.job, index, job->each.file, &b, &e))
		log_error("a task without its standard input: %s",
			e.msg); /* its worker gives it back */
	else
		json_object_set_new(one, "stdin", blob_to_json(&b));
}

int sources_check_result(struct coord *c, uint32_t at, const struct result *r, struct err *e)
{
	const struct job *job = c->manifests[at];
	const struct supply *s = supply_of(c, at);
	static const struct inputs none;
	struct blob b;

	if (!job_has_sources(job) && job->tasks != TASKS_EACH)
		return r->has_inputs
		               ? err_field(e, "inputs", "the job is given nothing of other jobs")
		               : 0;
	if (job->tasks == TASKS_EACH &&
		find_output(c, &job->each.job, r->index, job->each.file, &b, e))
		return -1;
	struct digest d =
		inputs_digest(s ? &s->inputs : &none, job, job->tasks == TASKS_EACH ? &b : NULL);
	if (r->has_inputs && digest_equal(&d, &r->inputs))
		return 0;
	return err_field(e, "inputs", "is not what task %lld was given", (long long)r->index);
}

void show_inputs(struct call *call, const char *text)
{
	struct digest id, d;
	struct job_row row;
	struct err e;
	char *bytes = NULL;
	size_t n = 0;

	if (!digest_from_hex(&id, text) || !store_job(call->c->store, &id, &row))
		err_set(&e, ERR_UNKNOWN_JOB, "no such job");
	else if (!store_inputs(call->c->store, row.n, &d) ||
		 !(bytes = store_blob_bytes(call->c->store, &d, &n)))
		err_set(&e, ERR_NOT_FOUND,
			"it has no files of other jobs, or they are not final yet");
	else {
		reply_text(call, 200, "application/x-ndjson", bytes, n);
		return;
	}
	reply_error(call, &e);
}
