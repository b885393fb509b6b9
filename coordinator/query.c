/* SPDX-License-Identifier: Apache-2.0
 *
 * query.c: what only its submitter (or an admin) may see of a job: results not yet believed, and
 * the end of a task's stderr.
 */
#include "common/log.h"
#include "coordinator/coord.h"
#include "coordinator/status.h"

#include <stdlib.h>
#include <string.h>

struct story {
	struct coord *c;
	json_t *results;
	struct digest err;
	bool has_err;
};

static void tell_result(void *arg, const struct result_row *r)
{
	struct story *s = arg;
	char worker[ID_TEXT + 1], outcome[DIGEST_TEXT + 1];

	id_text(worker, &r->worker_id);
	digest_text(outcome, &r->outcome);
	json_array_append_new(s->results,
		json_pack("{s:s,s:s,s:I,s:I,s:s,s:I,s:I,s:s}", "worker", worker, "outcome", outcome,
			"exit", (json_int_t)r->exit, "signal", (json_int_t)r->signal, "reason",
			r->reason, "cpu_ms", (json_int_t)r->cpu_ms, "wall_ms",
			(json_int_t)r->wall_ms, "lease_state", r->state));
	if (r->has_stderr) {
		s->err = r->stderr_digest;
		s->has_err = true;
	}
}

/* The stderr of the last result, as text that is safe in JSON. */
static json_t *stderr_text(struct story *s)
{
	auto_free char *bytes = NULL;
	struct err e;
	size_t n;

	if (!s->has_err || blob_whole(s->c, &s->err, &bytes, &n, RESULT_STDERR_MAX, &e))
		return json_string("");
	json_t *text = json_stringn(bytes, n);
	if (text)
		return text;
	for (size_t i = 0; i < n; i++) /* no UTF-8: keep what is ASCII */
		if ((unsigned char)bytes[i] >= 0x80)
			bytes[i] = '?';
	return json_stringn(bytes, n);
}

static json_t *task_story(struct coord *c, const struct job_row *job, int64_t index)
{
	static const char *const names[N_TASK_STATES] = { "pending", "running", "checking", "valid",
		"failed", "cancelled" };
	uint32_t at = sched_job(&c->sched, &job->id);
	struct story s = { .c = c, .results = json_array() };
	struct task_row row;
	char outcome[DIGEST_TEXT + 1];

	if (!store_task(c->store, job->n, index, &row) && at != NOBODY)
		row.state = (enum task_state)c->sched.jobs[at].tasks[index].state;
	store_task_results(c->store, job->n, index, tell_result, &s);
	digest_text(outcome, &row.outcome);
	return json_pack("{s:I,s:s,s:s,s:s,s:o,s:o}", "index", (json_int_t)index, "state",
		names[row.state], "outcome", outcome, "why", row.why, "results", s.results,
		"stderr", stderr_text(&s));
}

static json_t *look(struct coord *c, const struct msg *m, struct err *e)
{
	const char *what = jtext(m->body, "what");
	int64_t index = jint(m->body, "index", -1);
	struct digest id;
	struct job_row job;

	digest_from_hex(&id, jtext(m->body, "job"));
	if (!store_job(c->store, &id, &job))
		err_set(e, ERR_UNKNOWN_JOB, "no such job");
	else if (!id_equal(&job.submitter, &m->author) &&
		 !grid_allows(&c->grid, &m->author, ROLE_ADMIN, m->time_ms))
		err_set(e, ERR_REFUSED, "only its submitter or an admin may see this");
	else if (!strcmp(what, "job"))
		return job_json(c, &job, false);
	else if (index < 0 || index >= job.count)
		err_field(e, "index", "must be 0 to %lld: the job has no other tasks", (long long)job.count - 1);
	else
		return task_story(c, &job, index);
	return NULL;
}

void handle_query(struct call *call, struct msg *m)
{
	struct coord *c = call->c;
	struct last_request last;
	struct err e = { 0 };
	json_t *body = NULL;

	store_last_request(c->store, ASKER_SUBMITTER, &m->author, &last);
	auto_free char *before = last.answer;
	if (last.seq >= m->seq && digest_equal(&last.asked, &m->sealed.digest)) {
		reply_json(call, 200, TAKE(before));
		return;
	}
	if (last.seq >= m->seq)
		err_set(&e, ERR_OLD_SEQ, "the last seq known of this author is %lld",
			(long long)last.seq);
	else
		body = look(c, m, &e);
	if (!body) {
		reply_error(call, &e);
		return;
	}
	json_t *answer = new_ack(c, MSG_ANSWER, &m->sealed.digest);
	json_object_set_new(answer, "body", body);
	char *line = seal_ours(c, answer);
	store_answered(c->store, ASKER_SUBMITTER, &m->author, m->seq, &m->sealed.digest, line);
	reply_json(call, 200, line);
}
