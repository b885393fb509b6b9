/* SPDX-License-Identifier: Apache-2.0
 *
 * carry_in.c: a submitter gives a job to this worker: uploads (tus 1.0.0 core, as at the coordinator) and then the
 * manifest. Checked in the order of every message here: length, shape, grid, signature, meaning, then the quotas.
 * Whether the grid takes this submitter's jobs only the coordinator knows; it will say so when it is back.
 */
#include "worker/carry_in.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/tus.h"
#include "common/tus_serve.h"

#include <stdlib.h>
#include <string.h>

/* --- uploads ---------------------------------------------------------------------------------------------- */

static void number_header(struct req *r, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	req_out_header(r, name, text);
}

static int check_tus(struct req *r, struct err *e)
{
	req_out_header(r, "Tus-Resumable", TUS_VERSION);
	return tus_check_version(r, e);
}

static void answer(struct req *r, int status, const struct ticket *t)
{
	auto_free char *location = NULL;
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, &t->says.id);
	location = xprintf("/v1/uploads/%s", hex);
	if (status == 201)
		req_out_header(r, "Location", location);
	number_header(r, "Upload-Offset", t->in ? blob_in_offset(t->in) : t->done ? t->says.size : 0);
	if (status == 200)
		number_header(r, "Upload-Length", t->says.size);
	req_answer(r, status, NULL, "", 0);
}

/* Let go of one that got nothing for a while, so that another may be written. Not of any: who goes on with it makes us
 * hash again what it has, which strangers could have us do all the time. */
static int leave_one(struct carry *c, struct err *e)
{
	struct ticket *idlest = NULL;

	for (struct ticket *t = c->tickets; t; t = t->next)
		if (t->in && (!idlest || t->since_ms < idlest->since_ms))
			idlest = t;
	if (!idlest || clock_now_ms() - idlest->since_ms < c->limits.leave_ms)
		return err_set(e, ERR_RATE,
			"%d uploads are under way here; try another worker, or later", c->writing);
	blob_in_leave(TAKE(idlest->in));
	c->writing--;
	return 0;
}

static int whole(struct carry *c, struct ticket *t, struct err *e)
{
	if (blob_in_offset(t->in) < t->says.size)
		return 0;
	c->writing--;
	return blob_in_finish(TAKE(t->in), NULL, e) || carry_ticket_done(c, t, e) ? -1 : 0;
}

/* Ready to be written where it stands. */
static int resume(struct carry *c, struct ticket *t, struct err *e)
{
	char tag[DIGEST_HEX + 1];

	if (t->done || t->in)
		return 0;
	digest_hex(tag, &t->says.id);
	if (c->writing >= c->limits.writing && leave_one(c, e))
		return -1;
	if (blob_in_start(&t->in, c->blobs, tag, &t->says.digest, t->says.size, e)) {
		t->in = NULL;
		return -1;
	}
	c->writing++;
	t->since_ms = clock_now_ms();
	return whole(c, t, e); /* an empty one is whole at once */
}

static int admit(struct carry *c, const struct ticket *t, struct err *e)
{
	int64_t bytes = 0;
	int all = 0, same = 0;

	carry_sweep(c);
	for (const struct ticket *o = c->tickets; o; o = o->next) {
		bytes += o->says.size;
		all++;
		same += id_equal(&o->says.author, &t->says.author);
	}
	return carry_admit_ticket(&c->limits, bytes, t->says.size, all, same, e);
}

static int read_ticket(struct carry *c, struct ticket *t, struct req *r, struct err *e)
{
	int64_t length;
	struct msg m;
	size_t n;
	const char *line = req_body(r, &n);

	*t = (struct ticket){ .since_ms = clock_now_ms() };
	return tus_read_length(&length, r, e) || msg_open(&m, line, n, &c->home->grid_id, e) ||
			       ticket_read(&t->says, &m, e) || ticket_check_length(&t->says, length, e) ?
		       -1 :
		       0;
}

void carry_upload_post(struct carry *c, struct req *r)
{
	struct ticket fresh, *t;
	struct err e;
	size_t n;
	const char *line = req_body(r, &n);

	if (check_tus(r, &e) || read_ticket(c, &fresh, r, &e)) {
		req_problem(r, &e);
		return;
	}
	t = carry_ticket(c, &fresh.says.id);
	if (!t && !admit(c, &fresh, &e))
		t = carry_keep_ticket(c, &fresh, line, n, &e);
	if (!t || resume(c, t, &e))
		req_problem(r, &e);
	else
		answer(r, 201, t);
}

static struct ticket *find(struct carry *c, struct req *r, struct err *e)
{
	struct digest id;
	struct ticket *t = digest_from_hex(&id, req_part(r, 0)) ? carry_ticket(c, &id) : NULL;

	if (check_tus(r, e))
		return NULL;
	if (!t)
		err_set(e, ERR_NOT_FOUND, "no such upload");
	return t && !resume(c, t, e) ? t : NULL;
}

void carry_upload_head(struct carry *c, struct req *r)
{
	struct err e;
	struct ticket *t = find(c, r, &e);

	if (t)
		answer(r, 200, t);
	else
		req_problem(r, &e);
}

static int add(struct carry *c, struct ticket *t, struct req *r, struct err *e)
{
	size_t n;
	const char *bytes = req_body(r, &n);
	int64_t at;

	if (tus_check_part(r, e) || tus_read_offset(&at, r, e))
		return -1;
	if (!t->in || at != blob_in_offset(t->in))
		return err_set(e, ERR_OFFSET, "%lld bytes are here",
			(long long)(t->in ? blob_in_offset(t->in) : t->says.size));
	t->since_ms = clock_now_ms();
	return blob_in_add(t->in, bytes, n, e) || whole(c, t, e) ? -1 : 0;
}

void carry_upload_patch(struct carry *c, struct req *r)
{
	struct err e;
	struct ticket *t = find(c, r, &e);

	if (t && !add(c, t, r, &e))
		answer(r, 204, t);
	else
		req_problem(r, &e);
}

/* --- the manifest ----------------------------------------------------------------------------------------- */

struct checking {
	struct holdings here;
	struct err *e;
};

static int is_here(void *arg, const struct blob *b, const char *what)
{
	struct checking *k = arg;
	char text[DIGEST_TEXT + 1];

	if (holdings_have(&k->here, b))
		return 0;
	digest_text(text, &b->digest);
	err_set(k->e, ERR_MISSING_BLOB, "%s: %s is not here yet; upload it first", what, text);
	snprintf(k->e->field, sizeof(k->e->field), "%.90s", what);
	return -1;
}

static int all_here(struct carry *c, const struct job *job, const struct id *author, struct err *e)
{
	struct checking k = { .e = e };

	holdings_read(&k.here, c, author);
	int bad = carry_each_blob(c, job, is_here, &k, e);
	holdings_release(&k.here);
	return bad;
}

static int take(struct carry *c, struct msg *m, struct digest *id, struct err *e)
{
	struct job job = { 0 };
	int all, of_author = carry_jobs_of(c, &m->author, &all);

	if (m->type != MSG_JOB)
		return err_field(
			e, "type", "a worker carries jobs to the coordinator, nothing else");
	if (m->line_len > CARRY_JOB_MAX)
		return err_set(e, ERR_TOO_BIG, "the manifest's envelope is longer than 128 KiB");
	if (job_read(&job, m, e))
		return -1;
	*id = job.id;
	int bad = 0;
	if (!carry_has_job(c, &job.id)) {
		bad = carry_admit_job(&c->limits, all, of_author, e) ||
		      all_here(c, &job, &m->author, e) || carry_keep_job(c, &job, m->line, e);
		if (!bad && c->fns.taken)
			c->fns.taken(c->fns.arg, m->line, id);
	}
	job_release(&job);
	return bad ? -1 : 0;
}

void carry_message(struct carry *c, const struct id *self, struct req *r)
{
	char job[DIGEST_HEX + 1], me[ID_TEXT + 1];
	struct digest id;
	struct err e;
	struct msg m;
	size_t n;
	const char *line = req_body(r, &n);

	if (msg_open(&m, line, n, &c->home->grid_id, &e)) {
		req_problem(r, &e);
		return;
	}
	int bad = take(c, &m, &id, &e);
	msg_release(&m);
	if (bad) {
		req_problem(r, &e);
		return;
	}
	digest_hex(job, &id);
	id_text(me, self);
	log_info("job %.16s is carried until the coordinator acknowledges it", job);
	auto_free char *text = xprintf("{\"job\":\"%s\",\"carried_by\":\"%s\"}", job, me);
	req_answer_json(r, 202, text);
}
