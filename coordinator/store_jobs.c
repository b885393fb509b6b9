/* SPDX-License-Identifier: Apache-2.0
 *
 * store_jobs.c: jobs, their final tasks, and the verdicts and attestations that prove them.
 */
#include "coordinator/store_in.h"
#include "common/buf.h"

#include <string.h>

static const char *const state_names[N_TASK_STATES] = { "pending", "running", "checking", "valid",
	"failed", "cancelled" };

static enum task_state state_by_name(const char *name)
{
	for (size_t i = 0; i < N_TASK_STATES; i++)
		if (!strcmp(state_names[i], name))
			return (enum task_state)i;
	return TASK_PENDING;
}

/* --- jobs --------------------------------------------------------------------------------- */
int64_t store_add_job(struct store *s, const struct job *job, int64_t envelope, int64_t now)
{
	auto_buf struct buf local = { 0 };

	for (size_t i = 0; i < job->n_local; i++)
		buf_printf(&local, "%s%s", i ? " " : "", job->local[i]);
	return run(s,
		"INSERT INTO job (id, envelope, submitter, name, state, count, assurance, "
	        "submitted_ms, local)"
		" VALUES (?, ?, ?, ?, 'active', ?, ?, ?, ?)",
		"dikt"
		"itit",
		&job->id, envelope, &job->submitter, job->name, job->count, job->assurance, now, local.data);
}

#define JOB_COLUMNS                                                                                \
	"SELECT n, envelope, count, submitted_ms, finished_ms, valid, failed, cancelled, id, "     \
	"submitter, name,"                                                                         \
	" state, assurance, why, local FROM job "

static void read_job(struct rows *r, struct job_row *row)
{
	*row = (struct job_row){ col_int(r, 0), col_int(r, 1), col_int(r, 2), col_int(r, 3),
		col_int(r, 4), col_int(r, 5), col_int(r, 6), col_int(r, 7), .name = "" };
	col_copy(r, 8, &row->id, sizeof(row->id));
	col_copy(r, 9, &row->submitter, sizeof(row->submitter));
	col_word(r, 10, row->name, sizeof(row->name));
	col_word(r, 11, row->state, sizeof(row->state));
	col_word(r, 12, row->assurance, sizeof(row->assurance));
	col_word(r, 13, row->why, sizeof(row->why));
	col_word(r, 14, row->local, sizeof(row->local));
}

bool store_job(struct store *s, const struct digest *id, struct job_row *row)
{
	struct rows *r = ask(s, JOB_COLUMNS "WHERE id = ?", "d", id);
	bool there = rows_next(s, r);

	if (there)
		read_job(r, row);
	rows_end(r);
	return there;
}

size_t store_jobs(struct store *s, int64_t after, bool unfinished, struct job_row *rows, size_t max)
{
	struct rows *r = unfinished
	                         ? ask(s,
					   JOB_COLUMNS
					   "WHERE finished_ms IS NULL AND n > ? ORDER BY n LIMIT ?",
					   "ii", after, (int64_t)max)
	                         : ask(s, JOB_COLUMNS "WHERE n > ? ORDER BY n LIMIT ?", "ii", after,
					   (int64_t)max);
	size_t n = 0;

	while (n < max && rows_next(s, r))
		read_job(r, &rows[n++]);
	rows_end(r);
	return n;
}

void store_set_inputs(struct store *s, int64_t job, const struct digest *d)
{
	run(s, "UPDATE job SET inputs = ? WHERE n = ?", "di", d, job);
}

bool store_inputs(struct store *s, int64_t job, struct digest *d)
{
	struct rows *r = ask(s, "SELECT inputs FROM job WHERE n = ? AND inputs IS NOT NULL", "i", job);
	bool there = rows_next(s, r);

	if (there)
		col_copy(r, 0, d, sizeof(*d));
	rows_end(r);
	return there;
}

void store_cancel_job(struct store *s, int64_t job, const char *why)
{
	run(s, "UPDATE job SET state = 'cancelled', why = ? WHERE n = ?", "ti", why, job);
}

void store_finish_job(
	struct store *s, int64_t job, int64_t now, int64_t valid, int64_t failed, int64_t cancelled)
{
	run(s,
		"UPDATE job SET state = CASE state WHEN 'active' THEN 'done' ELSE state END, "
	        "finished_ms = ?,"
		" valid = ?, failed = ?, cancelled = ? WHERE n = ?",
		"iiiii", now, valid, failed, cancelled, job);
}

/* --- tasks -------------------------------------------------------------------------------- */
void store_add_task(
	struct store *s, int64_t job, int64_t index, const struct task_row *row, int64_t verdict)
{
	static const struct digest none;

	run(s,
		"INSERT INTO task (job, idx, state, outcome, why, verdict) VALUES (?, ?, ?, ?, ?, "
	        "?)",
		"iitdti", job, index, state_names[row->state],
		digest_equal(&row->outcome, &none) ? NULL : &row->outcome,
		row->why[0] ? row->why : NULL, verdict);
}

bool store_task(struct store *s, int64_t job, int64_t index, struct task_row *row)
{
	struct rows *r = ask(s,
		"SELECT state, outcome, why FROM task WHERE job = ? AND idx = ? ORDER BY version "
	        "DESC LIMIT 1",
		"ii", job, index);
	bool there = rows_next(s, r);

	*row = (struct task_row){ 0 };
	if (there) {
		row->state = state_by_name(col_text(r, 0));
		col_copy(r, 1, &row->outcome, sizeof(row->outcome));
		col_word(r, 2, row->why, sizeof(row->why));
	}
	rows_end(r);
	return there;
}

void store_each_task(struct store *s, int64_t job, task_fn *fn, void *arg)
{
	struct rows *r = ask(s, "SELECT idx, state FROM task WHERE job = ? ORDER BY idx", "i", job);

	while (rows_next(s, r))
		fn(arg, col_int(r, 0), state_by_name(col_text(r, 1)));
	rows_end(r);
}

/* --- verdicts and attestations ------------------------------------------------------------ */
int64_t store_add_verdict(struct store *s, int64_t job, const char *line)
{
	return run(s, "INSERT INTO verdict (job, line) VALUES (?, ?)", "it", job, line);
}

static void each_line(struct store *s, struct rows *r, line_fn *fn, void *arg)
{
	size_t len;

	while (rows_next(s, r)) {
		const char *line = col_text(r, 1);

		col_bytes(r, 1, &len);
		if (!fn(arg, col_int(r, 0), line, len))
			break;
	}
	rows_end(r);
}

void store_each_verdict(struct store *s, int64_t job, int64_t after, line_fn *fn, void *arg)
{
	each_line(s,
		ask(s, "SELECT n, line FROM verdict WHERE job = ? AND n > ? ORDER BY n", "ii", job,
			after),
		fn, arg);
}

void store_each_attestation(struct store *s, int64_t job, int64_t after, line_fn *fn, void *arg)
{
	each_line(s,
		ask(s,
			"SELECT shown, line FROM envelope WHERE job = ? AND shown IS NOT NULL AND "
	                "shown > ? ORDER BY shown",
			"ii", job, after),
		fn, arg);
}
