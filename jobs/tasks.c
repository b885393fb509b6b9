/* SPDX-License-Identifier: Apache-2.0
 *
 * tasks.c: task sources, one function each, chosen by a table.
 */
#include "jobs/tasks.h"

#include "common/buf.h"
#include "common/shape.h"
#include "jobs/csv.h"
#include "jobs/job.h"
#include "jobs/param.h"
#include "jobs/ref.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PRODUCT_BYTES_MAX 24576 /* of values in a manifest of 64 KiB; beyond: a list */
#define PRODUCT_VALUE_MAX 4096
#define COLUMN_NAME_MAX 200

/* --- what is to be uploaded ------------------------------------------------------------------ */
static json_t *uploads_add(struct uploads *up, struct upload new)
{
	for (size_t i = 0; i < up->n; i++)
		if (digest_equal(&up->at[i].blob.digest, &new.blob.digest)) {
			free(new.path);
			free(new.text);
			return blob_to_json(&up->at[i].blob);
		}
	array_room(&up->at, &up->room, up->n, sizeof(*up->at));
	up->at[up->n++] = new;
	return blob_to_json(&new.blob);
}

json_t *uploads_file(struct uploads *up, const char *path, struct err *e)
{
	struct upload new = { .path = NULL };
	auto_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe may have no writer */
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		err_sys(e, "opening %s", path);
		e->code = ERR_USAGE;
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, ERR_USAGE, "%s is not a file", path);
		return NULL;
	}
	if (digest_fd(fd, &new.blob.digest, &new.blob.root, &new.blob.size, e)) {
		err_wrap(e, "%s", path);
		return NULL;
	}
	if (new.blob.size > BLOB_SIZE_MAX) {
		err_set(e, ERR_TOO_BIG, "%s is larger than 64 GiB", path);
		return NULL;
	}
	new.path = xstrdup(path);
	return uploads_add(up, new);
}

json_t *uploads_text(struct uploads *up, char *text, size_t n)
{
	struct upload new = { .text = text,
		.blob = { .digest = digest_of(text, n), .root = pieces_of(text, n), .size = (int64_t)n } };

	return uploads_add(up, new);
}

void uploads_release(struct uploads *up)
{
	for (size_t i = 0; i < up->n; i++) {
		free(up->at[i].path);
		free(up->at[i].text);
	}
	free(up->at);
	*up = (struct uploads){ 0 };
}

/* --- the list blob --------------------------------------------------------------------------- */
/* One more line; takes `task`. `what` and `line` name the place in the user's file. */
static int list_line(struct task_set *t, struct buf *list, json_t *task, const char *what,
	size_t line, struct err *e)
{
	auto_json json_t *mine = task;

	if (!mine)
		return err_set(e, ERR_USAGE, "%s: line %zu is not UTF-8 text", what, line);
	auto_free char *text = shape_dump(mine);
	if (strlen(text) >= JOB_LIST_LINE_MAX)
		return err_set(e, ERR_USAGE, "%s: line %zu is longer than %d bytes", what, line,
			JOB_LIST_LINE_MAX);
	if (t->count == JOB_TASKS_MAX)
		return err_set(e, ERR_USAGE, "%s: more than %d tasks", what, JOB_TASKS_MAX);
	buf_text(list, text);
	buf_text(list, "\n");
	if ((int64_t)list->len > JOB_LIST_MAX)
		return err_set(e, ERR_USAGE, "%s: the list of tasks is larger than %lld MiB", what,
			(long long)(JOB_LIST_MAX / MIB));
	t->count++;
	return 0;
}

static int list_done(
	struct task_set *t, struct buf *list, struct uploads *up, const char *what, struct err *e)
{
	size_t n = list->len;

	if (t->count == 0)
		return err_set(e, ERR_USAGE, "%s: there is no task in it", what);
	json_t *blob = uploads_text(up, buf_take(list), n);
	t->tasks = json_pack("{s:{s:o, s:I}}", "list", "blob", blob, "count", (json_int_t)t->count);
	return 0;
}

static void word(struct task_set *t, const char *w)
{
	array_room(&t->words, &t->words_room, t->n_words, sizeof(*t->words));
	t->words[t->n_words++] = xstrdup(w);
}

static bool knows(const struct task_set *t, const char *w, size_t n)
{
	for (size_t i = 0; i < t->n_words; i++)
		if (strlen(t->words[i]) == n && !memcmp(t->words[i], w, n))
			return true;
	return false;
}

/* --- the sources ----------------------------------------------------------------------------- */
static int from_range(
	struct task_set *t, struct uploads *up, const struct task_options *o, struct err *e)
{
	(void)up, (void)e;
	t->count = o->range ? o->range : 1;
	t->tasks = json_pack("{s:{s:I}}", "range", "count", (json_int_t)t->count);
	return 0;
}

/* A task for each of another job's. */
static int from_job(struct task_set *t, const struct job_ref *r, const struct task_options *o, struct err *e)
{
	if (o->each.n > 1)
		return err_set(e, ERR_USAGE, "--each: one job's outputs (JOB/*/FILE), and nothing beside them");
	json_t *each = ref_each(r, o->finder, &t->count, e);
	if (!each)
		return err_wrap(e, "--each");
	t->tasks = json_pack("{s:o}", "each", each);
	return 0;
}

static int from_each(struct task_set *t, struct uploads *up, const struct task_options *o, struct err *e)
{
	auto_buf struct buf list = { 0 };
	struct job_ref r;

	for (size_t i = 0; o->finder && i < o->each.n; i++) {
		int is = ref_parse(&r, o->each.at[i], e);

		if (is)
			return is < 0 ? err_wrap(e, "--each") : from_job(t, &r, o, e);
	}

	word(t, "name");
	for (size_t i = 0; i < o->each.n; i++) {
		const char *slash = strrchr(o->each.at[i], '/');
		const char *base = slash ? slash + 1 : o->each.at[i];
		json_t *blob = uploads_file(up, o->each.at[i], e);

		if (!blob)
			return err_wrap(e, "--each");
		json_t *task = json_pack("{s:s, s:o}", "name", base, "stdin", blob);
		if (list_line(t, &list, task, "--each", i + 1, e))
			return -1;
	}
	return list_done(t, &list, up, "--each", e);
}

static int from_lines(
	struct task_set *t, struct uploads *up, const struct task_options *o, struct err *e)
{
	auto_buf struct buf list = { 0 };
	auto_free char *text = NULL;
	size_t n, line = 0;

	if (file_read(&text, &n, o->lines, (size_t)JOB_LIST_MAX, e)) {
		e->code = ERR_USAGE;
		return err_wrap(e, "--lines");
	}
	word(t, "line");
	for (const char *at = text, *end = text + n; at < end; line++) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((eol ? eol : end) - at);
		json_t *value = memchr(at, '\0', len) ? NULL : json_stringn(at, len);

		if (list_line(t, &list, value ? json_pack("{s:o}", "line", value) : NULL, o->lines,
			    line + 1, e))
			return -1;
		at += len + 1;
	}
	return list_done(t, &list, up, o->lines, e);
}

/* --- products -------------------------------------------------------------------------------- */
static int read_params(struct param *p, const struct texts *texts, struct err *e)
{
	for (size_t i = 0; i < texts->n; i++) {
		if (param_parse(&p[i], texts->at[i], JOB_TASKS_MAX, e))
			return -1;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(p[k].name, p[i].name))
				return err_set(
					e, ERR_USAGE, "--param %s is there twice", p[i].name);
		if (!strcmp(p[i].name, "index"))
			return err_set(e, ERR_USAGE,
				"--param index: {index} is the task's number already");
		for (size_t k = 0; k < p[i].n; k++)
			if (strlen(p[i].values[k]) > PRODUCT_VALUE_MAX)
				return err_set(e, ERR_USAGE,
					"--param %s: a value is longer than %d bytes", p[i].name,
					PRODUCT_VALUE_MAX);
	}
	return 0;
}

static json_t *product_json(const struct param *p, size_t n)
{
	json_t *product = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *values = json_array();

		for (size_t k = 0; k < p[i].n; k++)
			json_array_append_new(values, json_string(p[i].values[k]));
		json_array_append_new(
			product, json_pack("{s:s, s:o}", "name", p[i].name, "values", values));
	}
	return json_pack("{s:o}", "product", product);
}

/* The same tasks in the same order, written out. */
static int product_list(struct task_set *t, struct uploads *up, const struct param *p, size_t n,
	int64_t count, struct err *e)
{
	auto_buf struct buf list = { 0 };

	for (int64_t index = 0; index < count; index++) {
		size_t digit[JOB_PARAMS_MAX] = { 0 };
		int64_t rest = index;
		json_t *params = json_object();

		for (size_t i = n; i-- > 0; rest /= (int64_t)p[i].n)
			digit[i] = (size_t)(rest % (int64_t)p[i].n);
		for (size_t i = 0; i < n; i++)
			json_object_set_new(params, p[i].name, json_string(p[i].values[digit[i]]));
		if (list_line(t, &list, json_pack("{s:o}", "params", params), "--param", 1, e))
			return -1;
	}
	return list_done(t, &list, up, "--param", e);
}

static int product(
	struct task_set *t, struct uploads *up, const struct param *p, size_t n, struct err *e)
{
	int64_t count = 1;
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		word(t, p[i].name);
		count *= (int64_t)p[i].n; /* both ≤ 2^20 */
		if (count > JOB_TASKS_MAX)
			return err_set(e, ERR_USAGE, "--param: the product has more than %d tasks",
				JOB_TASKS_MAX);
		for (size_t k = 0; k < p[i].n; k++) {
			auto_json json_t *s = json_string(p[i].values[k]);

			if (!s)
				return err_set(e, ERR_USAGE,
					"--param %s: a value is not UTF-8 text", p[i].name);
			bytes += strlen(p[i].values[k]) + 3;
		}
	}
	if (bytes > PRODUCT_BYTES_MAX)
		return product_list(t, up, p, n, count, e);
	t->count = count;
	t->tasks = product_json(p, n);
	return 0;
}

static int from_params(
	struct task_set *t, struct uploads *up, const struct task_options *o, struct err *e)
{
	struct param p[JOB_PARAMS_MAX] = { 0 };
	int bad;

	if (o->params.n > JOB_PARAMS_MAX)
		return err_set(e, ERR_USAGE, "more than %d --param", JOB_PARAMS_MAX);
	bad = read_params(p, &o->params, e) || product(t, up, p, o->params.n, e);
	for (size_t i = 0; i < o->params.n; i++)
		param_release(&p[i]);
	return bad ? -1 : 0;
}

/* --- tables ---------------------------------------------------------------------------------- */
static int table_head(
	struct task_set *t, const struct csv_row *head, const char *path, struct err *e)
{
	for (size_t i = 0; i < head->n; i++) {
		const char *name = head->at[i];

		if (!*name || strlen(name) > COLUMN_NAME_MAX || strpbrk(name, "{}"))
			return err_set(e, ERR_USAGE,
				"%s: line %zu: column %zu: a name has 1 to %d bytes and no braces",
				path, head->line, i + 1, COLUMN_NAME_MAX);
		if (knows(t, name, strlen(name)))
			return err_set(e, ERR_USAGE, "%s: line %zu: column %s is %s", path,
				head->line, name,
				strcmp(name, "index") != 0
					? "there twice"
					: "the task's number already: rename it");
		word(t, name);
	}
	return 0;
}

static json_t *table_row(const struct csv_row *head, const struct csv_row *row)
{
	json_t *params = json_object();

	for (size_t i = 0; i < row->n; i++)
		if (json_object_set_new(params, head->at[i], json_string(row->at[i]))) {
			json_decref(params);
			return NULL;
		}
	return json_pack("{s:o}", "params", params);
}

static int table_rows(struct task_set *t, struct buf *list, struct csv *c,
	const struct csv_row *head, const char *path, struct err *e)
{
	struct csv_row row;
	int more;

	while ((more = csv_next(c, &row, e)) > 0) {
		int bad = row.n != head->n
		                  ? err_set(e, ERR_USAGE,
					    "%s: line %zu has %zu fields, the head has %zu", path,
					    row.line, row.n, head->n)
		                  : list_line(t, list, table_row(head, &row), path, row.line, e);

		csv_row_release(&row);
		if (bad)
			return -1;
	}
	return more < 0 ? err_wrap(e, "%s", path) : 0;
}

static int from_table(
	struct task_set *t, struct uploads *up, const struct task_options *o, struct err *e)
{
	auto_buf struct buf list = { 0 };
	auto_free char *text = NULL;
	struct csv_row head = { 0 };
	struct csv c;
	size_t n;

	if (file_read(&text, &n, o->table, (size_t)JOB_LIST_MAX, e))
		return err_wrap(e, "--table");
	csv_open(&c, text, n);
	int got = csv_next(&c, &head, e);
	if (got < 0)
		return err_wrap(e, "%s", o->table);
	if (got == 0)
		return err_set(e, ERR_USAGE, "%s: there is no head row in it", o->table);
	int bad = table_head(t, &head, o->table, e) || table_rows(t, &list, &c, &head, o->table, e);
	csv_row_release(&head);
	return bad ? -1 : list_done(t, &list, up, o->table, e);
}

/* --- all of them ----------------------------------------------------------------------------- */
int task_set_make(
	struct task_set *t, struct uploads *up, const struct task_options *o, struct err *e)
{
	const struct {
		const char *name;
		bool given;
		int (*make)(struct task_set *, struct uploads *, const struct task_options *,
			struct err *);
	} sources[] = {
		{ "--range", o->range > 0, from_range },
		{ "--each", o->each.n > 0, from_each },
		{ "--lines", o->lines != NULL, from_lines },
		{ "--param", o->params.n > 0, from_params },
		{ "--table", o->table != NULL, from_table },
	};
	size_t chosen = ARRAY_LEN(sources);

	*t = (struct task_set){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		if (!sources[i].given)
			continue;
		if (chosen < ARRAY_LEN(sources))
			return err_set(e, ERR_USAGE,
				"%s and %s: a job's tasks come from one of them",
				sources[chosen].name, sources[i].name);
		chosen = i;
	}
	word(t, "index");
	if (!(chosen < ARRAY_LEN(sources) ? sources[chosen].make : from_range)(t, up, o, e))
		return 0;
	if (e->code == ERR_MALFORMED || e->code == ERR_SYSTEM)
		e->code = ERR_USAGE;
	task_set_release(t);
	return -1;
}

void task_set_release(struct task_set *t)
{
	json_decref(t->tasks);
	for (size_t i = 0; i < t->n_words; i++)
		free(t->words[i]);
	free(t->words);
	*t = (struct task_set){ 0 };
}

#define WORDS_SHOWN_MAX 400 /* bytes: an error has room for so much */

/* "index, x, long name": all of them, or as many as can be shown. Yours. */
static char *words_text(const struct task_set *t)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < t->n_words; i++) {
		if (b.len + strlen(t->words[i]) > WORDS_SHOWN_MAX) {
			buf_printf(&b, " and %zu more", t->n_words - i);
			break;
		}
		buf_printf(&b, "%s%s", i ? ", " : "", t->words[i]);
	}
	return buf_take(&b);
}

int task_set_check_arg(const struct task_set *t, const char *arg, struct err *e)
{
	for (const char *open = arg; (open = strchr(open, '{')); open++) {
		size_t n = strcspn(open + 1, "{}");

		if (open[1 + n] == '}' && param_is_word(open + 1, n) && !knows(t, open + 1, n)) {
			auto_free char *known = words_text(t);

			return err_set(e, ERR_USAGE,
				"argument %.100s: {%.*s} is not known here; these are: %s", arg, (int)n,
				open + 1, known);
		}
	}
	return 0;
}
