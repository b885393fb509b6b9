/* SPDX-License-Identifier: Apache-2.0
 *
 * tabulate.c: two walks over results.ndjson, a line at a time.
 */
#include "jobs/tabulate.h"

#include "jobs/job.h"
#include "jobs/resdir.h"
#include "jobs/table_out.h"

#include "common/shape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH (256 * KIB) /* of rows written at once */

/* Where a retry's line for a task stands. */
struct place {
	int64_t at;
	int retry; /* 0: none, else 1 + its number */
	bool valid;
};

struct walk {
	struct tabulate *t;
	struct table_out table;
	FILE *lines[1 + TABULATE_RETRIES_MAX]; /* results.ndjson of each folder */
	struct place *places;                  /* JOB_TASKS_MAX of them, or NULL */
	char *text;                            /* the line at hand: RESDIR_LINE_MAX and a NUL */
};

static const char *folder(const struct walk *w, int which)
{
	return which ? w->t->retries[which - 1] : w->t->dir;
}

static int open_lines(struct walk *w, int which, struct err *e)
{
	auto_free char *path = resdir_path(folder(w, which), RESDIR_RESULTS);

	w->lines[which] = resdir_open(path, e);
	return w->lines[which] ? 0 : -1;
}

/* Its state and its digest go into the table as they stand, so they have to be what they seem. */
static bool is_result(const json_t *line)
{
	static const char *const states[] = { "pending", "running", "checking", "provisional",
		"valid", "failed", "cancelled" };
	const json_t *digest = json_object_get(line, "stdout");
	const char *state = jtext(line, "state");
	struct digest ignored;

	if (!json_is_object(line) || !json_is_integer(json_object_get(line, "index")) ||
		jint(line, "index", -1) < 0 ||
		(digest && (!json_is_string(digest) ||
				   !digest_from_text(&ignored, json_string_value(digest)))))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (!strcmp(state, states[i]))
			return true;
	return false;
}

/* The next line of a folder, in *line (yours); NULL: there are no more. */
static int next_line(struct walk *w, int which, json_t **line, struct err *e)
{
	size_t n;
	int got = resdir_next_line(w->lines[which], w->text, &n, e);

	*line = NULL;
	if (got <= 0)
		return got ? err_wrap(e, "%s/" RESDIR_RESULTS ": a line", folder(w, which)) : 0;
	*line = json_loadb(w->text, n, JSON_REJECT_DUPLICATES, NULL);
	if (is_result(*line))
		return 0;
	json_decref(*line);
	*line = NULL;
	return err_set(
		e, ERR_MALFORMED, "%s/" RESDIR_RESULTS ": a line is no result", folder(w, which));
}

/* --- retries --------------------------------------------------------------------------------- */
static bool is_valid(const json_t *line)
{
	return !strcmp(jtext(line, "state"), "valid");
}

static int note_retries(struct walk *w, int which, struct err *e)
{
	json_t *line;

	for (;;) {
		int64_t at = ftello(w->lines[which]);

		if (next_line(w, which, &line, e))
			return -1;
		if (!line)
			return 0;
		int64_t of = jint(line, "of", -1);
		bool valid = is_valid(line), counts = of >= 0 && of < JOB_TASKS_MAX;

		json_decref(line);
		if (counts && (valid || !w->places[of].valid))
			w->places[of] = (struct place){ .at = at, .retry = which, .valid = valid };
	}
}

/* Instead of the job's line, the retry's where there is one. Takes `line`. */
static int settle(struct walk *w, int64_t index, json_t **line, int *which, struct err *e)
{
	const struct place *p = w->places && index < JOB_TASKS_MAX ? &w->places[index] : NULL;

	*which = 0;
	if (!p || !p->retry || is_valid(*line))
		return 0;
	json_decref(*line);
	*line = NULL;
	*which = p->retry;
	if (fseeko(w->lines[p->retry], p->at, SEEK_SET))
		return err_sys(e, "reading %s/" RESDIR_RESULTS, folder(w, p->retry));
	if (next_line(w, p->retry, line, e))
		return -1;
	return *line ? 0
	             : err_set(e, ERR_MALFORMED, "%s/" RESDIR_RESULTS " has changed",
			       folder(w, p->retry));
}

/* --- rows ------------------------------------------------------------------------------------ */
/* Standard output in *text (yours), as far as a table shows it. */
static int read_stdout(const char *path, const char *digest, char **text, size_t *n, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct digest told, real;
	struct stat st;

	if (fd < 0 &&
		errno == ENOENT) /* too long to be fetched for a table: its digest stands for it */
		return 0;
	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, "opening %s", path);
	if (st.st_size > TABLE_TEXT_MAX)
		return 0;
	if (fd_read_all(text, n, fd, TABLE_TEXT_MAX, e))
		return err_wrap(e, "%s", path);
	real = digest_of(*text, *n);
	if (!digest_from_text(&told, digest) || !digest_equal(&told, &real))
		return err_set(
			e, ERR_DIGEST, "%s does not have the digest that was agreed on", path);
	return 0;
}

/* Look at the row, or write it where there is `out`. */
static int take_row(struct walk *w, int64_t index, const json_t *line, int which, struct buf *out,
	struct err *e)
{
	const char *digest =
		is_valid(line) ? json_string_value(json_object_get(line, "stdout")) : NULL;
	auto_free char *path = resdir_task_path(folder(w, which), jint(line, "index", 0), "stdout");
	auto_free char *text = NULL;
	struct table_row row = { .index = index,
		.state = jtext(line, "state"),
		.why = jtext(line, "why"),
		.of = json_object_get(line, "of"),
		.local = json_object_get(line, "local"),
		.name = json_object_get(line, "name"),
		.line = json_object_get(line, "line"),
		.params = json_object_get(line, "params") };

	if (digest && read_stdout(path, digest, &text, &row.n, e))
		return -1;
	if (which)
		row.of = NULL; /* it is what `index` says here */
	row.text = text;
	row.digest = text ? NULL : digest;
	if (!out)
		return table_out_look(&w->table, &row, e);
	table_out_row(&w->table, &row, out);
	return 0;
}

static int flush(struct buf *b, size_t at_least, FILE *out, struct err *e)
{
	if (b->len < at_least || !b->len)
		return 0;
	size_t n = fwrite(b->data, 1, b->len, out);
	bool whole = n == b->len;

	b->len = 0;
	return whole ? 0 : err_sys(e, "writing the table");
}

/* One walk: looking (out NULL) or writing. */
static int walk_rows(struct walk *w, FILE *out, struct err *e)
{
	auto_buf struct buf b = { 0 };

	rewind(w->lines[0]);
	if (out)
		table_out_head(&w->table, &b);
	for (;;) {
		json_t *line;
		int which;

		if (next_line(w, 0, &line, e))
			return -1;
		if (!line)
			break;
		int64_t index = jint(line, "index", 0);
		int bad = settle(w, index, &line, &which, e) ||
		          take_row(w, index, line, which, out ? &b : NULL, e) ||
		          flush(&b, BATCH, out, e);

		json_decref(line);
		if (bad)
			return -1;
	}
	return flush(&b, 1, out, e);
}

static int run(struct walk *w, FILE *out, struct err *e)
{
	if (open_lines(w, 0, e))
		return -1;
	if (w->t->n_retries)
		w->places = xcalloc(JOB_TASKS_MAX, sizeof(*w->places));
	for (size_t i = 0; i < w->t->n_retries; i++)
		if (open_lines(w, (int)i + 1, e) || note_retries(w, (int)i + 1, e))
			return -1;
	if (walk_rows(w, NULL, e))
		return -1;
	w->t->crowded = w->table.crowded;
	if (walk_rows(w, out, e))
		return -1;
	return fflush(out) ? err_sys(e, "writing the table") : 0;
}

int tabulate(struct tabulate *t, FILE *out, struct err *e)
{
	struct walk w = { .t = t, .text = xmalloc(RESDIR_LINE_MAX + 1) };

	t->crowded = NULL;
	table_out_init(&w.table, t->exact);
	int bad = run(&w, out, e);
	table_out_release(&w.table);
	for (size_t i = 0; i <= t->n_retries; i++)
		if (w.lines[i])
			fclose(w.lines[i]);
	free(w.places);
	free(w.text);
	return bad;
}
