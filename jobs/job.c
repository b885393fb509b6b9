/* SPDX-License-Identifier: Apache-2.0
 *
 * job.c: a manifest read, its blobs listed.
 */
#include "jobs/job.h"
#include "jobs/job_words.h"
#include "common/buf.h"
#include "common/codec.h"
#include "jobs/glob.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define WORD_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

/* A name that may become a file's: [A-Za-z0-9._-]{1,100}, no dot first. */
bool job_plain_name(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 100 && s[0] != '.' && strspn(s, PLAIN_CHARS) == n;
}

bool job_output_name(const char *s)
{
	int levels = 1;

	if (!strcmp(s, "stdout"))
		return true;
	if (strncmp(s, "files/", 6) != 0)
		return false;
	for (s += 6; *s; levels++) {
		size_t n = strcspn(s, "/");
		auto_free char *part = xmemdup(s, n);

		if (!job_plain_name(part) || levels > 4)
			return false;
		s += n;
		if (*s == '/' && !*++s)
			return false;
	}
	return levels > 1;
}

static bool word_name(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 40 && strspn(s, WORD_CHARS) == n;
}

json_t *blob_to_json(const struct blob *b)
{
	char text[DIGEST_TEXT + 1], root[DIGEST_HEX + 1];

	digest_text(text, &b->digest);
	digest_hex(root, &b->root);
	return json_pack("{s:s, s:I, s:s}", "digest", text, "size", (json_int_t)b->size, "pieces_root", root);
}

void blob_from_json(struct blob *b, const json_t *j)
{
	*b = (struct blob){ .size = jint(j, "size", 0) };
	digest_from_text(&b->digest, jtext(j, "digest"));
	digest_from_hex(&b->root, jtext(j, "pieces_root"));
}

/* --- reading, a field at a time --------------------------------------------------------------- */

static void read_profile(struct job *job, const json_t *m)
{
	int place = word_place(job_profile_words, jtext(m, "profile"));

	assert(place >= 0); /* the message's shape has the same words */
	job->profile = (enum job_profile)place;
}

static int read_programs(struct job *job, const json_t *m, struct err *e)
{
	json_t *j;
	size_t i;
	char field[40];

	json_array_foreach(json_object_get(m, "programs"), i, j) {
		struct job_program *p = &job->programs[job->n_programs++];

		snprintf(field, sizeof(field), "programs[%zu]", i);
		if (job_read_program(p, j, field, job->profile == PROFILE_IMAGE, e))
			return -1;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(job->programs[k].platform, p->platform))
				return err_field(e, field, "platform %s is there twice", p->platform);
	}
	return 0;
}

static int read_product(struct job *job, const json_t *product, struct err *e)
{
	json_t *j;
	size_t i;

	job->tasks = TASKS_PRODUCT;
	job->count = 1;
	job->params = xcalloc(json_array_size(product), sizeof(*job->params));
	json_array_foreach(product, i, j) {
		struct job_param *p = &job->params[job->n_params++];

		snprintf(p->name, sizeof(p->name), "%s", jtext(j, "name"));
		p->values = job_texts(json_object_get(j, "values"), &p->n);
		if (!word_name(p->name))
			return err_field(e, "tasks.product", "\"%s\" is no parameter name ([A-Za-z0-9_-])",
				p->name);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(job->params[k].name, p->name))
				return err_field(e, "tasks.product", "%s is there twice", p->name);
		job->count *= (int64_t)p->n;
		if (job->count > JOB_TASKS_MAX)
			return err_field(e, "tasks.product", "more than %d tasks", JOB_TASKS_MAX);
	}
	return 0;
}

static int read_tasks(struct job *job, const json_t *m, struct err *e)
{
	const json_t *tasks = json_object_get(m, "tasks");
	const json_t *range = json_object_get(tasks, "range");
	const json_t *list = json_object_get(tasks, "list");
	const json_t *product = json_object_get(tasks, "product");
	const json_t *each = json_object_get(tasks, "each");

	if (!!range + !!list + !!product + !!each != 1)
		return err_field(e, "tasks", "must have exactly one of range, list, product and each");
	if (product)
		return read_product(job, product, e);
	job->tasks = list ? TASKS_LIST : each ? TASKS_EACH : TASKS_RANGE;
	job->count = jint(list ? list : each ? each : range, "count", 0);
	if (list)
		blob_from_json(&job->list, json_object_get(list, "blob"));
	if (job->list.size > JOB_LIST_MAX)
		return err_field(e, "tasks.list.blob.size", "at most %lld bytes", (long long)JOB_LIST_MAX);
	return each ? job_read_source(&job->each, each, "tasks.each", e) : 0;
}

static int read_file(struct job_file *f, const json_t *j, size_t i, struct err *e)
{
	const json_t *blob = json_object_get(j, "blob"), *from = json_object_get(j, "from");
	char field[40];

	snprintf(f->name, sizeof(f->name), "%s", jtext(j, "name"));
	snprintf(field, sizeof(field), "files[%zu].from", i);
	if (!job_plain_name(f->name))
		return err_field(e, "files", "[%zu].name must be [A-Za-z0-9._-], no dot first", i);
	if (!blob == !from)
		return err_field(e, "files", "[%zu] must have one of blob and from", i);
	f->from = from != NULL;
	if (from)
		return job_read_source(&f->source, from, field, e);
	blob_from_json(&f->blob, blob);
	return 0;
}

static int read_files(struct job *job, const json_t *m, struct err *e)
{
	const json_t *files = json_object_get(m, "files");
	json_t *j;
	size_t i;

	job->files = xcalloc(json_array_size(files), sizeof(*job->files));
	json_array_foreach(files, i, j) {
		struct job_file *f = &job->files[job->n_files++];

		if (read_file(f, j, i, e))
			return -1;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(job->files[k].name, f->name))
				return err_field(e, "files", "%s is there twice", f->name);
	}
	if (job->profile == PROFILE_COMPUTE && (job->n_files || job->n_outputs))
		return err_field(e, job->n_files ? "files" : "outputs",
			"the profile compute has no files; use the profile files");
	return 0;
}

static int read_assurance(struct job *job, const json_t *m, struct err *e)
{
	static const char *const later_classes[] = { "audit", "trusted", "checker" };
	const char *text = jtext(m, "assurance");
	int64_t n;

	for (size_t i = 0; i < ARRAY_LEN(later_classes); i++)
		if (!strncmp(text, later_classes[i], strlen(later_classes[i])))
			return job_later(e, "assurance", later_classes[i]);
	if (strncmp(text, "quorum:", 7) != 0 || !int_parse(&n, text + 7, 1, JOB_QUORUM_MAX))
		return err_field(e, "assurance", "must be quorum:N, N from 1 to %d", JOB_QUORUM_MAX);
	snprintf(job->assurance, sizeof(job->assurance), "%s", text);
	job->quorum = (int)n;
	job->max_results = jint(m, "max_results", 0);
	if (job->max_results < n)
		return err_field(e, "max_results", "is %lld, less than the quorum of %d",
			(long long)job->max_results, (int)n);
	return 0;
}

/* What a submitter may ask for by version 1 and nobody does yet: refused, not ignored. */
static int read_later(const json_t *m, struct err *e)
{
	if (json_object_get(m, "deadline"))
		return job_later(e, "deadline", "a deadline");
	if (json_object_get(m, "expires"))
		return job_later(e, "expires", "a job that expires");
	return json_object_get(m, "price") ? job_later(e, "price", "a price") : 0;
}

/* In a retry each line of a list has to say which task it is (`of`), so whoever does not know that must refuse the job:
 * it would give {index} another value. */
static int read_retry(struct job *job, const json_t *m, struct err *e)
{
	json_t *name;
	size_t i;

	job->is_retry = digest_from_hex(&job->retry_of, jtext(m, "retry_of"));
	if (!job->is_retry)
		return 0;
	if (job->tasks != TASKS_LIST)
		return err_field(e, "retry_of", "the tasks of a retry are a list");
	json_array_foreach(json_object_get(m, "crit"), i, name)
		if (!strcmp(json_string_value(name), "retry_of"))
			return 0;
	return err_field(e, "retry_of", "must be named in crit");
}

static void read_limits(struct job *job, const json_t *m)
{
	const json_t *limits = json_object_get(m, "limits");

	job->cpu_s = jint(limits, "cpu_s", JOB_CPU_S);
	job->wall_s = jint(limits, "wall_s", JOB_WALL_S);
	job->memory_mib = jint(limits, "memory_mib", JOB_MEMORY_MIB);
	job->disk_mib = jint(limits, "disk_mib", JOB_DISK_MIB);
	job->output_mib = jint(limits, "max_output_mib", JOB_OUTPUT_MIB);
	job->processes = jint(limits, "processes", JOB_PROCESSES);
	job->threads = jint(m, "threads", JOB_THREADS);
	job->max_failures = jint(m, "max_failures", 0);
	job->priority = jint(m, "priority", 0);
	job->deterministic = jbool(m, "deterministic", true);
}

int job_read(struct job *job, const struct msg *m, struct err *e)
{
	*job = (struct job){ .submitter = m->author };
	if (m->type != MSG_JOB)
		return err_field(e, "type", "is %s; a job is needed", msg_type_name(m->type));
	job->id = digest_of(m->sealed.payload, m->sealed.n);
	snprintf(job->name, sizeof(job->name), "%s", jtext(m->body, "name"));
	job->args = job_texts(json_object_get(m->body, "args"), &job->n_args);
	job->outputs = job_texts(json_object_get(m->body, "outputs"), &job->n_outputs);
	read_limits(job, m->body);
	read_profile(job, m->body);
	if (m->sealed.n > JOB_MANIFEST_MAX)
		err_set(e, ERR_TOO_BIG, "a manifest of %zu bytes; at most %d are taken", m->sealed.n,
			JOB_MANIFEST_MAX);
	else if (!read_programs(job, m->body, e) &&
		!read_tasks(job, m->body, e) && !read_files(job, m->body, e) &&
		!read_assurance(job, m->body, e) && !job_read_more(job, m->body, e) && !read_later(m->body, e) &&
		!read_retry(job, m->body, e))
		return 0;
	job_release(job);
	return -1;
}

void job_release(struct job *job)
{
	for (size_t i = 0; i < job->n_params; i++)
		job_free_texts(job->params[i].values, job->params[i].n);
	free(job->params);
	free(job->files);
	job_release_more(job);
	job_free_texts(job->args, job->n_args);
	job_free_texts(job->outputs, job->n_outputs);
	*job = (struct job){ 0 };
}

const struct job_program *job_program(const struct job *job, const char *platform)
{
	for (size_t i = 0; i < job->n_programs; i++)
		if (!strcmp(job->programs[i].platform, platform))
			return &job->programs[i];
	return NULL;
}

/* --- outputs and blobs ------------------------------------------------------------------------- */

int64_t job_wants_disk_mib(const struct job *job)
{
	return job->output_mib > job->disk_mib && job->output_mib > JOB_OUTPUT_MIB ? job->output_mib : job->disk_mib;
}

bool job_declares(const struct job *job, const char *path)
{
	if (job->checkpoint && !strcmp(path, "checkpoint"))
		return false;
	for (size_t i = 0; i < job->n_outputs; i++)
		if (glob_matches(job->outputs[i], path))
			return true;
	return false;
}

int job_each_blob(const struct job *job, int (*fn)(void *arg, const struct blob *b, const char *what),
	void *arg)
{
	char what[120];

	for (size_t i = 0; i < job->n_programs; i++) {
		snprintf(what, sizeof(what), "programs[%zu].blob", i);
		if (!*job->programs[i].path && fn(arg, &job->programs[i].blob, what))
			return -1;
	}
	for (size_t i = 0; i < job->n_files; i++) {
		snprintf(what, sizeof(what), "files[%zu].blob", i);
		if (!job->files[i].from && fn(arg, &job->files[i].blob, what))
			return -1;
	}
	for (size_t i = 0; i < job->image.n_layers; i++) {
		snprintf(what, sizeof(what), "image.layers[%zu]", i);
		if (fn(arg, &job->image.layers[i], what))
			return -1;
	}
	if (job->has_comparator && fn(arg, &job->comparator.blob, "comparator.blob"))
		return -1;
	return job->tasks == TASKS_LIST ? fn(arg, &job->list, "tasks.list.blob") : 0;
}
