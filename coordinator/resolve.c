/* SPDX-License-Identifier: Apache-2.0
 *
 * resolve.c: what jobs are given of other jobs: the outputs that verdicts stand for, found, kept, and told in leases.
 */
#include "common/log.h"
#include "coordinator/sources_in.h"
#include "coordinator/status.h"

#include <stdlib.h>
#include <string.h>

/* --- outputs of other jobs ------------------------------------------------------------------------ */

static int open_envelope(struct coord *c, int64_t envelope, struct err *e)
{
	struct sources *s = c->sources;
	struct msg m;

	if (s->envelope == envelope)
		return 0;
	auto_free char *line = store_line(c->store, envelope);
	s->opened++;
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

/* The envelope that stands for a valid task; 0: there is none. */
static int64_t envelope_of(struct coord *c, const struct job_row *row, int64_t index)
{
	struct task_row task;

	if (!store_task(c->store, row->n, index, &task) || task.state != TASK_VALID)
		return 0;
	return store_result_that_counts(c->store, row->n, index);
}

/* Opening an envelope of 1 MiB takes ten milliseconds and more, so what else in it will be asked for is kept too: all that this
 * envelope says of tasks for which it stands. */
static void keep_found(struct coord *c, const struct job_row *row, int64_t envelope, const char *file)
{
	struct sources *s = c->sources;

	s->found = s->found ? s->found : found_new();
	for (size_t i = 0; i < s->last.n; i++) {
		int64_t index = s->last.items[i].index;
		const struct output *o = output_of(&s->last, index, file);

		if (o && envelope_of(c, row, index) == envelope)
			found_put(s->found, &row->id, index, file,
				&(struct blob){ .digest = o->digest, .root = o->root, .size = o->size });
	}
}

/* The output of a valid task. -1: `e` is a sentence about why it has none. */
static int find_output(struct coord *c, const struct digest *job, int64_t index, const char *file,
	struct blob *out, struct err *e)
{
	struct sources *s = c->sources;
	char id[DIGEST_HEX + 1];
	struct job_row row;

	if (s->found && found_get(s->found, job, index, file, out))
		return 0;
	digest_hex(id, job);
	int64_t envelope = store_job(c->store, job, &row) ? envelope_of(c, &row, index) : 0;
	if (!envelope)
		return err_set(e, ERR_NOT_FOUND,
			"task %lld of job %.*s, whose output it needs, is not valid",
			(long long)index, SHORT_ID, id);
	bool anew = s->envelope != envelope;
	if (open_envelope(c, envelope, e))
		return err_set(e, ERR_NOT_FOUND,
			"the result of task %lld of job %.*s cannot be read", (long long)index,
			SHORT_ID, id);
	const struct output *o = output_of(&s->last, index, file);
	if (!o)
		return err_set(e, ERR_NOT_FOUND, "task %lld of job %.*s left no %.60s",
			(long long)index, SHORT_ID, id, file);
	if (anew)
		keep_found(c, &row, envelope, file);
	*out = (struct blob){ .digest = o->digest, .root = o->root, .size = o->size };
	return 0;
}

/* --- resolving, a bounded number of outputs a turn ------------------------------------------------ */

static void keep_text(struct coord *c, uint32_t at)
{
	struct supply *s = c->sources->at[at];
	const struct job *job = c->manifests[at];
	size_t n;
	auto_free char *text = inputs_text(&s->inputs, job, &n);

	s->blob = (struct blob){ .digest = digest_of(text, n), .root = pieces_of(text, n), .size = (int64_t)n };
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
	if (from->index < 0 && ++s->index < source_count(c, &from->job))
		return 0;
	s->index = 0;
	s->file++;
	return 0;
}

int resolve_files(struct coord *c, uint32_t at, struct err *e)
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
int resolve_each(struct coord *c, uint32_t at, struct err *e)
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

void resolve_recall(struct coord *c, uint32_t at)
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

/* --- what is told --------------------------------------------------------------------------------- */

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
