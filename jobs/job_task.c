/* SPDX-License-Identifier: Apache-2.0
 *
 * job_task.c: what one task of a job is given: its line or parameters, its words, its seed.
 */
#include "jobs/job.h"
#include "common/buf.h"

#include <stdlib.h>
#include <string.h>

/* Linux takes 128 KiB an argument and about 2 MiB together; 64 KiB of placeholders could ask for 1 GiB. */
#define ARG_BYTES_MAX 131071
#define ARGV_BYTES_MAX (1024 * 1024)

struct digest job_seed(const struct job *job, int64_t index)
{
	auto_buf struct buf b = { 0 };

	buf_text(&b, "talkoot-seed");
	buf_add(&b, job->id.b, DIGEST_BYTES);
	buf_printf(&b, "%lld", (long long)index);
	return digest_of(b.data, b.len);
}

static const struct shape line_shape[] = {
	{ .name = "name", .kind = SHAPE_TEXT, .optional = true, .min = 1, .max = 4096 },
	{ .name = "line", .kind = SHAPE_TEXT, .optional = true, .max = JOB_LIST_LINE_MAX },
	{ .name = "stdin", .kind = SHAPE_OBJECT, .optional = true, .of = shape_blob },
	{ .name = "params", .kind = SHAPE_OBJECT, .optional = true },
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

static int read_list_line(struct job_task *t, const char *text, size_t n, int64_t index, struct err *e)
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
	return read_params(t, json_object_get(j, "params"), field, e);
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
		snprintf(number, 24, "%lld", (long long)t->index);
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

static const char *name_of(const struct job *job)
{
	const struct job_program *p = job->programs;

	return !job->n_programs ? "program" : *p->path ? p->path : p->name;
}

static int make_argv(struct job_task *t, const struct job *job, struct err *e)
{
	size_t left = ARGV_BYTES_MAX;
	char field[40];

	t->argv = xcalloc(job->n_args + 2, sizeof(*t->argv));
	t->argv[0] = xstrdup(name_of(job));
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

	*t = (struct job_task){ .index = index };
	if (index < 0 || index >= job->count)
		return err_field(e, "index", "%lld is not a task of this job (0 to %lld)", (long long)index,
			(long long)job->count - 1);
	if (job->tasks == TASKS_LIST) {
		if (!find_line(&line, &len, list, n, index))
			return err_field(e, "tasks.list", "has no line %lld", (long long)index);
		if (read_list_line(t, line, len, index, e)) {
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

/* --- every line of a list ---------------------------------------------------------------------- */

int job_each_list_blob(const struct job *job, const char *list, size_t n,
	int (*fn)(void *arg, const struct blob *b, const char *what), void *arg, struct err *e)
{
	const char *at = list, *end = list + n;
	char what[60];
	int64_t index = 0;

	for (; at < end; index++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		struct job_task t = { 0 };

		if (!stop)
			stop = end;
		if (index >= job->count) /* or a list of 89 million {} would be parsed to the end */
			return err_field(e, "tasks.list.count", "is %lld, but the list has more lines",
				(long long)job->count);
		snprintf(what, sizeof(what), "tasks.list[%lld].stdin", (long long)index);
		int bad = read_list_line(&t, at, (size_t)(stop - at), index, e) ||
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
