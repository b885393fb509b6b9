/* SPDX-License-Identifier: Apache-2.0
 *
 * origin.c: see origin.h.
 */
#include "jobs/origin.h"
#include "jobs/resdir.h"

#include <stdlib.h>
#include <string.h>

/* --- the sources' folders ------------------------------------------------------------------------- */

struct telling {
	struct verify *v;
	const char *dir;
};

static void source_fault(void *arg, const char *what, const char *why)
{
	const struct telling *t = arg;

	verify_fault(t->v, t->dir, "%s: %s", what, why);
}

/* A folder that does not verify proves nothing. */
static void open_sources(struct origin *o, const struct texts *dirs)
{
	struct verify *v = o->v;

	o->sources = xcalloc(dirs->n, sizeof(*o->sources));
	for (size_t i = 0; i < dirs->n && i < ORIGIN_DIRS_MAX; i++) {
		struct verify *s = &o->sources[o->n++];
		struct telling t = { v, dirs->at[i] };
		char grid[ID_TEXT + 1];

		id_text(grid, &v->evidence.grid.id);
		*s = (struct verify){
			.dir = dirs->at[i], .grid = grid, .fault = source_fault, .fault_arg = &t,
			.run_comparator = v->run_comparator
		};
		verify_dir(s);
		v->tolerance.compared += s->tolerance.compared;
		v->tolerance.unjudged += s->tolerance.unjudged;
		s->fault = NULL;
		s->grid = NULL;
	}
}

static struct verify *source_of(const struct origin *o, const struct digest *job)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->sources[i].evidence.has_job && !o->sources[i].faults &&
			digest_equal(&o->sources[i].evidence.job.id, job))
			return &o->sources[i];
	return NULL;
}

/* The output of a valid task there. */
static int output_of(const struct origin *o, const struct job_source *from, int64_t index,
	struct blob *b, struct err *e)
{
	struct verify *s = source_of(o, &from->job);
	struct evidence *ev = s ? &s->evidence : NULL;
	char id[DIGEST_HEX + 1];

	digest_hex(id, &from->job);
	if (!s)
		return err_set(e, ERR_NOT_FOUND,
			"the results of job %.12s are not here (--source DIR)", id);
	const struct result *r = index < ev->job.count && ev->tasks[index] &&
	                                         !strcmp(ev->tasks[index]->state, "valid")
	                                 ? evidence_result(ev, index)
	                                 : NULL;
	for (size_t i = 0; r && i < r->n_outputs; i++)
		if (!strcmp(r->outputs[i].name, from->file)) {
			*b = (struct blob){ .digest = r->outputs[i].digest,
				.root = r->outputs[i].root,
				.size = r->outputs[i].size };
			return 0;
		}
	return err_set(e, ERR_FIELD, "task %lld of job %.12s has no verified output %.60s",
		(long long)index, id, from->file);
}

/* --- the inputs, made again ----------------------------------------------------------------------- */

static int add_file(struct origin *o, size_t file, struct err *e)
{
	const struct job_source *from = &o->v->evidence.job.files[file].source;
	const struct verify *s = source_of(o, &from->job);
	int64_t at = from->index < 0 ? 0 : from->index,
		end = from->index < 0 ? s->evidence.job.count : at + 1;
	struct blob b;

	for (; at < end; at++) {
		if (output_of(o, from, at, &b, e))
			return -1;
		inputs_add(&o->inputs, file, at, &b);
	}
	return 0;
}

static int make_inputs(struct origin *o, struct err *e)
{
	const struct job *job = &o->v->evidence.job;

	for (size_t i = 0; i < job->n_files; i++)
		if (job->files[i].from && add_file(o, i, e))
			return -1;
	return 0;
}

int origin_stdin(const struct origin *o, int64_t index, struct blob *b, struct err *e)
{
	return output_of(o, &o->v->evidence.job.each, index, b, e);
}

/* evidence_check() saw that all counted results name the same inputs. */
static void check_task(struct origin *o, int64_t index)
{
	struct evidence *ev = &o->v->evidence;
	const struct result *r = evidence_result(ev, index);
	bool each = ev->job.tasks == TASKS_EACH;
	struct blob b;
	char what[40];
	struct err e;

	if (!r)
		return;
	snprintf(what, sizeof(what), "task %lld", (long long)index);
	if (each && origin_stdin(o, index, &b, &e)) {
		verify_fault(o->v, what, "%s", e.msg);
		return;
	}
	struct digest d = inputs_digest(&o->inputs, &ev->job, each ? &b : NULL);
	if (!r->has_inputs || !digest_equal(&r->inputs, &d))
		verify_fault(o->v, what,
			"was not given the verified outputs of the jobs that its job names");
}

static bool all_here(const struct origin *o)
{
	auto_json json_t *missing = origin_unchecked(o);

	return json_array_size(missing) == 0;
}

void origin_check(struct origin *o, struct verify *v, const struct texts *dirs)
{
	const struct job *job = &v->evidence.job;
	struct err e;

	*o = (struct origin){ .v = v };
	open_sources(o, dirs);
	o->complete = all_here(o);
	if (!o->complete)
		return;
	if (make_inputs(o, &e)) {
		verify_fault(v, RESDIR_JOB, "%s", e.msg);
		return;
	}
	for (int64_t i = 0; i < job->count && (job_has_sources(job) || job->tasks == TASKS_EACH);
		i++)
		check_task(o, i);
}

json_t *origin_unchecked(const struct origin *o)
{
	const struct job *job = &o->v->evidence.job;
	struct digest ids[JOB_FILES_MAX + 1];
	char hex[DIGEST_HEX + 1];
	json_t *list = json_array();
	size_t n = 0;

	for (size_t i = 0; i < job->n_files; i++)
		if (job->files[i].from)
			ids[n++] = job->files[i].source.job;
	if (job->tasks == TASKS_EACH)
		ids[n++] = job->each.job;
	for (size_t i = 0; i < n; i++) {
		bool told = source_of(o, &ids[i]) != NULL;

		for (size_t k = 0; k < i; k++)
			told |= digest_equal(&ids[k], &ids[i]);
		digest_hex(hex, &ids[i]);
		if (!told)
			json_array_append_new(list, json_string(hex));
	}
	return list;
}

/* --- their bytes ---------------------------------------------------------------------------------- */

static char *find_in(struct verify *s, int64_t index, const struct digest *d)
{
	const struct result *r = evidence_result(&s->evidence, index);

	for (size_t i = 0; r && i < r->n_outputs; i++)
		if (digest_equal(&r->outputs[i].digest, d))
			return resdir_task_path(s->dir, index, r->outputs[i].name);
	return NULL;
}

char *origin_find(const struct origin *o, const struct digest *d)
{
	char *path = NULL;

	for (size_t k = 0; k < o->n && !path; k++)
		for (int64_t i = 0;
			!o->sources[k].faults && i < o->sources[k].evidence.job.count && !path; i++)
			path = find_in(&o->sources[k], i, d);
	return path;
}

void origin_release(struct origin *o)
{
	for (size_t i = 0; i < o->n; i++)
		verify_release(&o->sources[i]);
	free(o->sources);
	inputs_release(&o->inputs);
	*o = (struct origin){ 0 };
}
