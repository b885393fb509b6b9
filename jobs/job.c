/* SPDX-License-Identifier: Apache-2.0
 *
 * job.c: a manifest read, its tasks unfolded, its blobs listed.
 */
#include "jobs/job.h"
#include "common/buf.h"
#include "common/codec.h"
#include "jobs/glob.h"

#include <stdlib.h>
#include <string.h>

#define PLAIN_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define WORD_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

/* Linux takes 128 KiB an argument and about 2 MiB together; 64 KiB of placeholders could ask for 1 GiB. */
#define ARG_BYTES_MAX 131071
#define ARGV_BYTES_MAX (1024 * 1024)

/* A name that may become a file's: [A-Za-z0-9._-]{1,100}, no dot first. */
bool job_plain_name(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 100 && s[0] != '.' && strspn(s, PLAIN_CHARS) == n;
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

static int later(struct err *e, const char *field, const char *what)
{
	err_set(e, ERR_REFUSED, "field %s: %s is not there yet", field, what);
	snprintf(e->field, sizeof(e->field), "%s", field);
	return -1;
}

/* --- reading, a field at a time --------------------------------------------------------------- */

static int read_profile(struct job *job, const json_t *m, struct err *e)
{
	const char *text = jtext(m, "profile");

	if (!strcmp(text, "image"))
		return later(e, "profile", "the profile image");
	job->profile = !strcmp(text, "files") ? PROFILE_FILES : PROFILE_COMPUTE;
	return 0;
}

static int read_programs(struct job *job, const json_t *m, struct err *e)
{
	json_t *j;
	size_t i;
	char field[40];

	json_array_foreach(json_object_get(m, "programs"), i, j) {
		struct job_program *p = &job->programs[job->n_programs++];

		snprintf(field, sizeof(field), "programs[%zu]", i);
		snprintf(p->platform, sizeof(p->platform), "%s", jtext(j, "platform"));
		snprintf(p->name, sizeof(p->name), "%s", jtext(j, "name"));
		blob_from_json(&p->blob, json_object_get(j, "blob"));
		if (!job_plain_name(p->name))
			return err_field(e, field, "its name must be [A-Za-z0-9._-], no dot first");
		for (size_t k = 0; k < i; k++)
			if (!strcmp(job->programs[k].platform, p->platform))
				return err_field(e, field, "platform %s is there twice", p->platform);
	}
	return 0;
}

static char **read_texts(const json_t *list, size_t *n)
{
	json_t *j;
	size_t i;
	char **texts = xcalloc(json_array_size(list) + 1, sizeof(*texts));

	json_array_foreach(list, i, j)
		texts[i] = xstrdup(json_string_value(j));
	*n = json_array_size(list);
	return texts;
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
		p->values = read_texts(json_object_get(j, "values"), &p->n);
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

	if (!!range + !!list + !!product != 1)
		return err_field(e, "tasks", "must have exactly one of range, list and product");
	if (product)
		return read_product(job, product, e);
	job->tasks = list ? TASKS_LIST : TASKS_RANGE;
	job->count = jint(list ? list : range, "count", 0);
	if (list)
		blob_from_json(&job->list, json_object_get(list, "blob"));
	if (job->list.size > JOB_LIST_MAX)
		return err_field(e, "tasks.list.blob.size", "at most %lld bytes", (long long)JOB_LIST_MAX);
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

		snprintf(f->name, sizeof(f->name), "%s", jtext(j, "name"));
		blob_from_json(&f->blob, json_object_get(j, "blob"));
		if (!job_plain_name(f->name))
			return err_field(e, "files", "[%zu].name must be [A-Za-z0-9._-], no dot first", i);
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
			return later(e, "assurance", later_classes[i]);
	if (strncmp(text, "quorum:", 7) != 0 || !int_parse(&n, text + 7, 1, JOB_QUORUM_MAX))
		return err_field(e, "assurance", "must be quorum:N, N from 1 to %d", JOB_QUORUM_MAX);
	snprintf(job->assurance, sizeof(job->assurance), "%s", text);
	job->quorum = (int)n;
	job->max_results = jint(m, "max_results", 0);
	if (job->max_results < n)
		return err_field(e, "max_results", "is %lld, less than the quorum of %d",
			(long long)job->max_results, (int)n);
	if (strcmp(jtext(m, "compare"), "exact") != 0)
		return later(e, "compare", "a comparison other than exact");
	if (strcmp(jtext(m, "platform_class"), "any") != 0)
		return later(e, "platform_class", "a platform class other than any");
	return 0;
}

/* What a submitter may ask for by version 1 and nobody does yet: refused, not ignored. */
static int read_later(const json_t *m, struct err *e)
{
	if (json_array_size(json_object_get(m, "bits")))
		return later(e, "bits", "optional bits");
	if (json_object_get(m, "deadline"))
		return later(e, "deadline", "a deadline");
	if (json_object_get(m, "expires"))
		return later(e, "expires", "a job that expires");
	return json_object_get(m, "price") ? later(e, "price", "a price") : 0;
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
	job->args = read_texts(json_object_get(m->body, "args"), &job->n_args);
	job->outputs = read_texts(json_object_get(m->body, "outputs"), &job->n_outputs);
	read_limits(job, m->body);
	if (m->sealed.n > JOB_MANIFEST_MAX)
		err_set(e, ERR_TOO_BIG, "a manifest of %zu bytes; at most %d are taken", m->sealed.n,
			JOB_MANIFEST_MAX);
	else if (!read_profile(job, m->body, e) && !read_programs(job, m->body, e) &&
		!read_tasks(job, m->body, e) && !read_files(job, m->body, e) &&
		!read_assurance(job, m->body, e) && !read_later(m->body, e) && !read_retry(job, m->body, e))
		return 0;
	job_release(job);
	return -1;
}

static void free_texts(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

void job_release(struct job *job)
{
	for (size_t i = 0; i < job->n_params; i++)
		free_texts(job->params[i].values, job->params[i].n);
	free(job->params);
	free(job->files);
	free_texts(job->args, job->n_args);
	free_texts(job->outputs, job->n_outputs);
	*job = (struct job){ 0 };
}

struct digest job_seed(const struct job *job, int64_t index)
{
	auto_buf struct buf b = { 0 };

	buf_text(&b, "talkoot-seed");
	buf_add(&b, job->id.b, DIGEST_BYTES);
	buf_printf(&b, "%lld", (long long)index);
	return digest_of(b.data, b.len);
}

const struct job_program *job_program(const struct job *job, const char *platform)
{
	for (size_t i = 0; i < job->n_programs; i++)
		if (!strcmp(job->programs[i].platform, platform))
			return &job->programs[i];
	return NULL;
}

/* --- one task ---------------------------------------------------------------------------------- */

static const struct shape line_shape[] = {
	{ .name = "name", .kind = SHAPE_TEXT, .optional = true, .min = 1, .max = 4096 },
	{ .name = "line", .kind = SHAPE_TEXT, .optional = true, .max = JOB_LIST_LINE_MAX },
	{ .name = "stdin", .kind = SHAPE_OBJECT, .optional = true, .of = shape_blob },
	{ .name = "params", .kind = SHAPE_OBJECT, .optional = true },
	{ .name = "of", .kind = SHAPE_INT, .optional = true, .max = JOB_TASKS_MAX - 1 },
	{ .name = NULL },
};

static void add_param(struct job_task *t, const char *name, const char *value)
{
	t->params = xrealloc(t->params, t->n_params + 1, sizeof(*t->params));
	t->params[t->n_params++] =
		(struct job_param_value){ .name = xstrdup(name), .value = xstrdup(value) };
}

/* The index-th line of the list. */
static bool find_line(const char **line, size_t *len, const char *list, size_t n, int64_t index)
{
	const char *at = list, *end = list + n;

	for (int64_t i = 0; at < end; i++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (!stop)
			stop = end;
		if (i == index) {
			*line = at;
			*len = (size_t)(stop - at);
			return true;
		}
		at = stop + 1;
	}
	return false;
}

static int read_params(struct job_task *t, const json_t *params, const char *field, struct err *e)
{
	const char *name;
	json_t *value;

	if (json_object_size(params) > 256)
		return err_field(e, field, "more than 256 parameters");
	json_object_foreach((json_t *)(uintptr_t)params, name, value) {
		if (!json_is_string(value) || !*name || strlen(name) > 200)
			return err_field(e, field, "parameters are texts with names of 1 to 200 bytes");
		add_param(t, name, json_string_value(value));
	}
	return 0;
}

/* `of` counts in a retry only: elsewhere it is a name like any other that nobody knows. */
static int read_number(struct job_task *t, const struct job *job, const json_t *j, const char *field, struct err *e)
{
	t->number = job->is_retry ? jint(j, "of", -1) : t->index;
	return t->number >= 0 ? 0 : err_field(e, field, "`of` is missing: which task is tried again?");
}

static int read_list_line(struct job_task *t, const struct job *job, const char *text, size_t n, int64_t index,
	struct err *e)
{
	char field[48];

	snprintf(field, sizeof(field), "tasks.list[%lld]", (long long)index);
	if (n > JOB_LIST_LINE_MAX)
		return err_field(e, field, "a line longer than %d bytes", JOB_LIST_LINE_MAX);
	auto_json json_t *j = shape_load(text, n, e);
	if (!j || shape_check(j, line_shape, e))
		return err_wrap(e, "%s", field);
	const json_t *name = json_object_get(j, "name"), *line = json_object_get(j, "line");
	const json_t *blob = json_object_get(j, "stdin");
	if (line && blob)
		return err_field(e, field, "has both line and stdin");
	t->name = name ? xstrdup(json_string_value(name)) : NULL;
	t->line = line ? xstrdup(json_string_value(line)) : NULL;
	t->stdin_text = line ? xprintf("%s\n", t->line) : NULL;
	t->has_stdin_blob = blob != NULL;
	if (blob)
		blob_from_json(&t->stdin_blob, blob);
	return read_number(t, job, j, field, e) || read_params(t, json_object_get(j, "params"), field, e) ? -1 : 0;
}

/* Mixed radix: the last parameter varies fastest. */
static void product_params(struct job_task *t, const struct job *job, int64_t index)
{
	int64_t rest = job->count;

	for (size_t i = 0; i < job->n_params; i++) {
		rest /= (int64_t)job->params[i].n;
		add_param(t, job->params[i].name, job->params[i].values[index / rest]);
		index %= rest;
	}
}

/* --- placeholders ------------------------------------------------------------------------------ */

/* What {word} means in this task, or NULL. `number` is scratch for the index. */
static const char *lookup(const struct job_task *t, const char *word, size_t n, char number[24])
{
	if (n == 5 && !strncmp(word, "index", n)) {
		snprintf(number, 24, "%lld", (long long)t->number);
		return number;
	}
	for (size_t i = 0; i < t->n_params; i++)
		if (strlen(t->params[i].name) == n && !strncmp(t->params[i].name, word, n))
			return t->params[i].value;
	if (n == 4 && !strncmp(word, "name", n))
		return t->name;
	if (n == 4 && !strncmp(word, "line", n))
		return t->line;
	return NULL;
}

/* Copy `arg` with each {word} replaced; a word that means nothing here stays as it is (submit has refused
 * it already). Braces around anything else stay too. NULL: longer than `max`. */
static char *replace(const struct job_task *t, const char *arg, size_t max)
{
	auto_buf struct buf b = { 0 };
	char number[24];

	while (*arg) {
		const char *close = *arg == '{' ? strchr(arg, '}') : NULL;
		const char *value = close ? lookup(t, arg + 1, (size_t)(close - arg - 1), number) : NULL;

		if (value) {
			buf_text(&b, value);
			arg = close + 1;
		} else {
			buf_add(&b, arg++, 1);
		}
		if (b.len > max)
			return NULL;
	}
	return buf_take(&b);
}

static int make_argv(struct job_task *t, const struct job *job, struct err *e)
{
	size_t left = ARGV_BYTES_MAX;
	char field[40];

	t->argv = xcalloc(job->n_args + 2, sizeof(*t->argv));
	t->argv[0] = xstrdup(job->n_programs ? job->programs[0].name : "program");
	for (size_t i = 0; i < job->n_args; i++) {
		t->argv[i + 1] = replace(t, job->args[i], left < ARG_BYTES_MAX ? left : ARG_BYTES_MAX);
		if (!t->argv[i + 1]) {
			snprintf(field, sizeof(field), "args[%zu]", i);
			return err_field(e, field, "with its placeholders replaced it is too long (%d bytes an argument, %d together)",
				ARG_BYTES_MAX, ARGV_BYTES_MAX);
		}
		left -= strlen(t->argv[i + 1]);
	}
	return 0;
}

int job_task(struct job_task *t, const struct job *job, int64_t index, const char *list, size_t n,
	struct err *e)
{
	const char *line;
	size_t len;

	*t = (struct job_task){ .index = index, .number = index };
	if (index < 0 || index >= job->count)
		return err_field(e, "index", "%lld is not a task of this job (0 to %lld)", (long long)index,
			(long long)job->count - 1);
	if (job->tasks == TASKS_LIST) {
		if (!find_line(&line, &len, list, n, index))
			return err_field(e, "tasks.list", "has no line %lld", (long long)index);
		if (read_list_line(t, job, line, len, index, e)) {
			job_task_release(t);
			return -1;
		}
	} else if (job->tasks == TASKS_PRODUCT) {
		product_params(t, job, index);
	}
	if (make_argv(t, job, e)) {
		job_task_release(t);
		return -1;
	}
	return 0;
}

void job_task_release(struct job_task *t)
{
	for (size_t i = 0; i < t->n_params; i++) {
		free(t->params[i].name);
		free(t->params[i].value);
	}
	free(t->params);
	free(t->name);
	free(t->line);
	free(t->stdin_text);
	for (char **arg = t->argv; arg && *arg; arg++)
		free(*arg);
	free(t->argv);
	*t = (struct job_task){ 0 };
}

/* --- outputs and blobs ------------------------------------------------------------------------- */

bool job_declares(const struct job *job, const char *path)
{
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
		if (fn(arg, &job->programs[i].blob, what))
			return -1;
	}
	for (size_t i = 0; i < job->n_files; i++) {
		snprintf(what, sizeof(what), "files[%zu].blob", i);
		if (fn(arg, &job->files[i].blob, what))
			return -1;
	}
	return job->tasks == TASKS_LIST ? fn(arg, &job->list, "tasks.list.blob") : 0;
}

int job_each_list_blob(const struct job *job, const char *list, size_t n,
	int (*fn)(void *arg, const struct blob *b, const char *what), void *arg, struct err *e)
{
	const char *at = list, *end = list + n;
	char what[60];
	int64_t index = 0;

	for (; at < end; index++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		struct job_task t = { .index = index };

		if (!stop)
			stop = end;
		if (index >= job->count) /* or a list of 89 million {} would be parsed to the end */
			return err_field(e, "tasks.list.count", "is %lld, but the list has more lines",
				(long long)job->count);
		snprintf(what, sizeof(what), "tasks.list[%lld].stdin", (long long)index);
		int bad = read_list_line(&t, job, at, (size_t)(stop - at), index, e) ||
			(t.has_stdin_blob && fn(arg, &t.stdin_blob, what));
		job_task_release(&t);
		if (bad)
			return -1;
		at = stop + 1;
	}
	if (index != job->count)
		return err_field(e, "tasks.list.count", "is %lld, but the list has %lld lines",
			(long long)job->count, (long long)index);
	return 0;
}
