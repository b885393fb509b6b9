/* SPDX-License-Identifier: Apache-2.0
 *
 * pages.c: what anybody may GET, in pages.
 */
#include "common/codec.h"
#include "coordinator/status.h"

#include <stdlib.h>
#include <string.h>

#define NDJSON_MAX (4 * MIB) /* bytes of one page of evidence */

static void reply_object(struct call *call, json_t *o)
{
	char *text = shape_dump(o);

	json_decref(o);
	reply_json(call, 200, text);
}

static int page_size(const char *limit, int64_t *n, struct err *e)
{
	*n = PAGE_DEFAULT;
	if (limit && !int_parse(n, limit, 1, PAGE_MAX))
		return err_field(e, "limit", "must be 1 to %d", PAGE_MAX);
	return 0;
}

static json_t *page(const char *name, json_t *list, const char *next)
{
	json_t *o = json_pack("{s:o}", name, list);

	json_object_set_new(o, "next", next ? json_string(next) : json_null());
	return o;
}

/* --- jobs --------------------------------------------------------------------------------- */
static int find_job(
	struct coord *c, const char *field, const char *text, struct job_row *row, struct err *e)
{
	struct digest id;

	if (!digest_from_hex(&id, text))
		return err_field(e, field, "must be 64 lowercase hex digits");
	if (!store_job(c->store, &id, row))
		return err_set(e, ERR_UNKNOWN_JOB, "no such job");
	return 0;
}

static int jobs_page(struct coord *c, const char *limit, const char *after, bool hide, json_t **out,
	struct err *e)
{
	auto_free struct job_row *rows = NULL;
	struct job_row from = { 0 };
	char next[DIGEST_HEX + 1];
	int64_t max;

	if (page_size(limit, &max, e))
		return -1;
	if (after && find_job(c, "after", after, &from, e))
		return err_field(e, "after", "is no job's id");
	rows = xcalloc((size_t)max + 1, sizeof(*rows));
	size_t n = store_jobs(c->store, from.n, false, rows, (size_t)max + 1),
	       shown = n > (size_t)max ? (size_t)max : n;
	json_t *list = json_array();
	for (size_t i = 0; i < shown; i++)
		json_array_append_new(list, job_json(c, &rows[i], hide));
	if (n > shown)
		digest_hex(next, &rows[shown - 1].id);
	*out = page("jobs", list, n > shown ? next : NULL);
	return 0;
}

void show_jobs(struct call *call, const char *limit, const char *after, bool hide)
{
	json_t *o = NULL;
	struct err e;

	if (jobs_page(call->c, limit, after, hide, &o, &e))
		reply_error(call, &e);
	else
		reply_object(call, o);
}

/* In a path an ill-formed id is simply not there. */
static int job_at(struct call *call, const char *id, struct job_row *row)
{
	struct err e;

	if (!find_job(call->c, "id", id, row, &e))
		return 0;
	if (e.code == ERR_FIELD)
		err_set(&e, ERR_UNKNOWN_JOB, "no such job");
	reply_error(call, &e);
	return -1;
}

void show_job(struct call *call, const char *id, bool hide)
{
	struct job_row row;

	if (!job_at(call, id, &row))
		reply_object(call, job_json(call->c, &row, hide));
}

void show_manifest(struct call *call, const char *id)
{
	struct job_row row;

	if (!job_at(call, id, &row))
		reply_json(call, 200, store_line(call->c->store, row.envelope));
}

/* --- evidence ----------------------------------------------------------------------------- */
struct lines {
	struct buf text;
	int64_t n, max, last;
	bool more;
};

static bool add_line(void *arg, int64_t n, const char *line, size_t len)
{
	struct lines *l = arg;

	if (l->n >= l->max || (l->n > 0 && l->text.len + len > (size_t)NDJSON_MAX)) {
		l->more = true;
		return false;
	}
	buf_add(&l->text, line, len);
	buf_add(&l->text, "\n", 1);
	l->n++;
	l->last = n;
	return true;
}

static void show_lines(struct call *call, const char *id, const char *limit, const char *after,
	void (*each)(struct store *, int64_t, int64_t, line_fn *, void *))
{
	struct lines l = { .max = PAGE_MAX };
	struct job_row row;
	int64_t from = 0;
	struct err e;

	if (job_at(call, id, &row))
		return;
	if ((limit && page_size(limit, &l.max, &e)) ||
		(after && !int_parse(&from, after, 0, INT64_MAX) &&
			err_field(&e, "after", "must be a number"))) {
		reply_error(call, &e);
		return;
	}
	each(call->c->store, row.n, from, add_line, &l);
	call->reply.next = l.more ? l.last : 0;
	size_t n = l.text.len;
	reply_text(call, 200, "application/x-ndjson", buf_take(&l.text), n);
}

void show_verdicts(struct call *call, const char *id, const char *limit, const char *after)
{
	show_lines(call, id, limit, after, store_each_verdict);
}

void show_attestations(struct call *call, const char *id, const char *limit, const char *after)
{
	show_lines(call, id, limit, after, store_each_attestation);
}

/* --- workers ------------------------------------------------------------------------------ */
static int workers_page(struct coord *c, const char *limit, const char *after, bool hide,
	json_t **out, struct err *e)
{
	int64_t max;
	size_t at = 0;
	struct id id;
	char next[ID_TEXT + 1];

	if (page_size(limit, &max, e))
		return -1;
	if (after) {
		uint32_t found = id_parse(&id, after) ? sched_worker(&c->sched, &id) : NOBODY;

		if (found == NOBODY)
			return err_field(e, "after", "is no worker's id");
		at = found + 1;
	}
	json_t *list = json_array();
	for (; at < c->sched.n_workers && json_array_size(list) < (size_t)max; at++)
		json_array_append_new(list, worker_json(c, &c->sched.workers[at], hide));
	bool more = at < c->sched.n_workers;
	if (more)
		id_text(next, &c->sched.workers[at - 1].id);
	*out = page("workers", list, more ? next : NULL);
	return 0;
}

void show_workers(struct call *call, const char *limit, const char *after, bool hide)
{
	json_t *o = NULL;
	struct err e;

	if (workers_page(call->c, limit, after, hide, &o, &e))
		reply_error(call, &e);
	else
		reply_object(call, o);
}

void show_worker(struct call *call, const char *text)
{
	struct id id;
	uint32_t at = id_parse(&id, text) ? sched_worker(&call->c->sched, &id) : NOBODY;
	struct err e;

	if (at != NOBODY) {
		reply_object(call, worker_json(call->c, &call->c->sched.workers[at], false));
		return;
	}
	err_set(&e, ERR_NOT_FOUND, "no such worker");
	reply_error(call, &e);
}
