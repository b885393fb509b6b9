/* SPDX-License-Identifier: Apache-2.0
 *
 * await.c: ask, at growing intervals, until every task is final.
 */
#include "jobs/await.h"

#include "jobs/progress.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

#define POLL_FIRST_MS 200
#define POLL_LAST_MS 2000
#define PATIENCE_MS 300000 /* with a grid that was there and is gone */

#define TELL_AFTER_MS 1500

struct telling {
	bool told;
	int64_t since_ms; /* 0: not waiting */
};

static const char *const states[] = { "valid", "failed", "cancelled", "provisional", "checking",
	"running", "pending" };

int64_t job_in_state(const json_t *job, const char *state)
{
	return jint(json_object_get(job, "tasks"), state, 0);
}

char *job_counts(const json_t *job)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (job_in_state(job, states[i]))
			buf_printf(&b, "%s%lld %s", b.len ? ", " : "",
				(long long)job_in_state(job, states[i]), states[i]);
	return buf_take(&b);
}

static bool over(const json_t *job)
{
	return !strcmp(jtext(job, "state"), "done") || !strcmp(jtext(job, "state"), "cancelled");
}

int await_exit(const json_t *job)
{
	return !strcmp(jtext(job, "state"), "done") &&
	                       job_in_state(job, "valid") == jint(job, "count", -1)
	               ? 0
	               : 1;
}

void await_left(const char *id)
{
	complain("interrupted: the job goes on; `talkoot wait %.12s` waits for it, `talkoot cancel "
	         "%.12s` ends it",
		id, id);
}

void await_failed(const char *id, const json_t *job)
{
	int64_t failed = job_in_state(job, "failed");

	if (failed)
		complain("%lld task%s failed: `talkoot results %.12s --format csv` says which and why, `talkoot "
			 "status %.12s --task N` shows the end of its stderr",
			(long long)failed, failed == 1 ? "" : "s", id, id);
}

static void show(struct progress *p, const json_t *job)
{
	auto_free char *counts = job_counts(job);
	const char *waiting = jtext(job, "waiting");
	auto_free char *why = text_safe(waiting, strlen(waiting));
	auto_free char *detail = xprintf("%s%s%s", counts, *why ? "; waiting: " : "", why);

	progress_show(p,
		job_in_state(job, "valid") + job_in_state(job, "failed") +
			job_in_state(job, "cancelled"),
		jint(job, "count", 0), detail, clock_mono_ms());
}

/* Say once, in words, why nobody takes the job: when that has been so for a while, not while workers come and go. */
static void tell_waiting(struct telling *t, struct progress *p, const json_t *job, int64_t now_ms)
{
	const char *waiting = jtext(job, "waiting"), *lacking = jtext(job, "lacking");

	if (!*waiting)
		t->since_ms = 0;
	else if (!t->since_ms)
		t->since_ms = now_ms;
	if (t->told || !*waiting || now_ms - t->since_ms < TELL_AFTER_MS)
		return;
	t->told = true;
	progress_end(p);
	complain("waiting: %s%s%s", waiting, *lacking ? "; " : "", lacking);
}

/* Whether what cannot be had now may come yet. */
static bool may_come(const struct client *c, enum err_code code, bool seen)
{
	return code == ERR_UNREACHABLE
	               ? seen
	               : c->carried && code == ERR_UNKNOWN_JOB; /* not delivered yet */
}

int await_job(struct client *c, const char *id, json_t **job, struct err *e)
{
	auto_free char *path = xprintf("/v1/jobs/%s", id);
	int64_t wait = POLL_FIRST_MS, seen = clock_mono_ms();
	struct telling t = { 0 };
	struct progress p;
	int bad = 0;

	*job = NULL;
	progress_start(&p, clock_mono_ms());
	for (;;) {
		client_look_again(c);
		json_t *now = client_get(c, path, e);

		if (now) {
			json_decref(*job);
			*job = now;
			seen = clock_mono_ms();
			tell_waiting(&t, &p, now, seen);
			show(&p, now);
		}
		if (now && over(now))
			break;
		if (c->interrupted)
			bad = err_set(e, ERR_CANCELLED, "interrupted");
		else if (!now)
			bad = !may_come(c, e->code, *job != NULL) ||
			      clock_mono_ms() - seen > PATIENCE_MS;
		if (bad)
			break;
		client_sleep(c, wait);
		wait = wait * 5 / 4 > POLL_LAST_MS ? POLL_LAST_MS : wait * 5 / 4;
	}
	progress_end(&p);
	return bad ? -1 : 0;
}
