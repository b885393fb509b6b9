/* SPDX-License-Identifier: Apache-2.0
 *
 * status.c: jobs, workers and the state of the grid as JSON.
 */
#include "coordinator/status.h"
#include "common/clock.h"
#include "coordinator/sources.h"

#include <string.h>

/* --- a job -------------------------------------------------------------------------------- */
static json_t *tally_json(const struct job_row *row, const struct sjob *j, bool hide)
{
	int64_t over[N_TASK_STATES] = { [TASK_VALID] = row->valid,
		[TASK_FAILED] = row->failed,
		[TASK_CANCELLED] = row->cancelled };
	const int64_t *t = j ? j->tally : over;
	int64_t running = t[TASK_RUNNING] + (hide ? t[TASK_CHECKING] : 0);
	json_t *o = json_pack("{s:I,s:I}", "pending", (json_int_t)t[TASK_PENDING], "running",
		(json_int_t)running);

	if (!hide) {
		json_object_set_new(o, "checking", json_integer(t[TASK_CHECKING]));
		json_object_set_new(o, "provisional", json_integer(0));
	}
	json_object_set_new(o, "valid", json_integer(t[TASK_VALID]));
	json_object_set_new(o, "failed", json_integer(t[TASK_FAILED]));
	json_object_set_new(o, "cancelled", json_integer(t[TASK_CANCELLED]));
	return o;
}

/* Where a job reads workers' own data, each result rests on one worker's word: that is said beside its assurance. */
static void add_local(json_t *o, const struct job_row *row)
{
	json_t *names = json_array();

	for (const char *at = row->local; *at;) {
		size_t n = strcspn(at, " ");

		json_array_append_new(names, json_stringn(at, n));
		at += n + (at[n] == ' ');
	}
	if (row->local[0])
		json_object_set(o, "local", names);
	json_decref(names);
}

json_t *job_json(struct coord *c, const struct job_row *row, bool hide)
{
	uint32_t at = sched_job(&c->sched, &row->id);
	const struct sjob *j = at == NOBODY ? NULL : &c->sched.jobs[at];
	char id[DIGEST_HEX + 1], submitter[ID_TEXT + 1], waiting[160] = "",
							 lacking[LACKING_MAX] = "";

	digest_hex(id, &row->id);
	id_text(submitter, &row->submitter);
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:I,s:o,s:s,s:I}", "id", id, "name", row->name,
		"submitter", submitter, "state", row->state, "count", (json_int_t)row->count,
		"tasks", tally_json(row, j, hide), "assurance", row->assurance, "submitted",
		(json_int_t)row->submitted_ms);
	add_local(o, row);
	json_object_set_new(
		o, "finished", row->finished_ms ? json_integer(row->finished_ms) : json_null());
	if (j && c->draining && !j->ending && !sched_job_over(j))
		snprintf(waiting, sizeof(waiting),
			"the grid is drained: no tasks are given out until its coordinator starts again");
	else if (j && j->waits)
		sources_waiting(c, at, waiting, sizeof(waiting));
	else if (j)
		sched_waiting(&c->sched, j, coord_now(c), waiting, sizeof(waiting));
	if (waiting[0])
		json_object_set_new(o, "waiting", json_string(waiting));
	if (j && waiting[0] && !c->draining)
		sched_lacking(&c->sched, j, coord_now(c), lacking, sizeof(lacking));
	if (lacking[0])
		json_object_set_new(o, "lacking", json_string(lacking));
	if (row->why[0])
		json_object_set_new(o, "why", json_string(row->why));
	return o;
}

/* --- a worker ----------------------------------------------------------------------------- */
json_t *worker_json(struct coord *c, const struct worker *w, bool hide)
{
	static const char *const states[] = {
		[RUN] = "run", [PAUSE] = "pause", [FINISH] = "finish"
	};
	char id[ID_TEXT + 1];

	id_text(id, &w->id);
	json_t *o = json_pack("{s:s,s:s,s:I,s:b}", "id", id, "platform", w->platform, "slots",
		(json_int_t)w->slots, "online", (int)worker_online(w, coord_now(c)));
	if (hide && w->address[0]) /* it publishes that one: others fetch from there */
		json_object_set_new(o, "address", json_string(w->address));
	if (hide)
		return o;
	json_t *more = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:b,s:b}",
		"platform_class", w->platform_class, "agent", w->agent, "address", w->address,
		"cpus", (json_int_t)w->cpus, "memory_mib", (json_int_t)w->memory_mib, "disk_mib",
		(json_int_t)w->disk_mib, "leases", (json_int_t)w->leased, "first",
		(json_int_t)w->first_ms, "seen", (json_int_t)w->seen_ms, "state", states[w->state],
		"banned", (int)w->banned, "relayed", w->voter.relay != 0);
	json_object_update(o, more);
	json_decref(more);
	return o;
}

/* --- the grid ----------------------------------------------------------------------------- */
static json_t *workers_status(const struct coord *c)
{
	int64_t now = coord_now(c), online = 0, banned = 0;

	for (size_t i = 0; i < c->sched.n_workers; i++) {
		online += worker_online(&c->sched.workers[i], now);
		banned += c->sched.workers[i].banned;
	}
	return json_pack("{s:I,s:I,s:I,s:I}", "known", (json_int_t)c->sched.n_workers, "online",
		(json_int_t)online, "trusted", (json_int_t)0, "banned", (json_int_t)banned);
}

static json_t *tasks_status(const struct coord *c)
{
	int64_t sum[N_TASK_STATES] = {
		[TASK_VALID] = c->counts.valid, [TASK_FAILED] = c->counts.failed
	};

	for (size_t i = 0; i < c->sched.n_jobs; i++)
		for (int k = 0; !c->sched.jobs[i].gone && k < N_TASK_STATES; k++)
			sum[k] += c->sched.jobs[i].tally[k];
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "pending", (json_int_t)sum[TASK_PENDING],
		"running", (json_int_t)sum[TASK_RUNNING], "checking",
		(json_int_t)sum[TASK_CHECKING], "provisional", (json_int_t)0, "valid",
		(json_int_t)sum[TASK_VALID], "failed", (json_int_t)sum[TASK_FAILED]);
}

static json_t *jobs_status(const struct coord *c)
{
	int64_t active = 0, failed = 0;

	for (size_t i = 0; i < c->sched.n_jobs; i++)
		active += !c->sched.jobs[i].gone && !c->sched.jobs[i].ending;
	failed = c->counts.jobs_failed;
	return json_pack("{s:I,s:I,s:I,s:I}", "active", (json_int_t)active, "done",
		(json_int_t)(c->counts.jobs_done - failed), "failed", (json_int_t)failed,
		"cancelled", (json_int_t)c->counts.jobs_cancelled);
}

json_t *status_json(struct coord *c)
{
	int64_t now = coord_now(c);
	char id[ID_TEXT + 1];

	id_text(id, &c->id);
	json_t *o = json_pack("{s:s,s:s,s:s,s:I}", "grid", id, "name", c->o.name, "version",
		TALKOOT_VERSION, "uptime_s",
		(json_int_t)((clock_mono_ms() - c->started_ms) / 1000));
	json_object_set_new(o, "jobs", jobs_status(c));
	json_object_set_new(o, "tasks", tasks_status(c));
	json_object_set_new(o, "workers", workers_status(c));
	json_object_set_new(o, "results",
		json_pack("{s:I,s:I,s:I,s:I}", "received", (json_int_t)c->counts.received, "agreed",
			(json_int_t)c->agreed, "disagreed", (json_int_t)c->disagreed, "rejected",
			(json_int_t)(c->rejected + c->counts.late)));
	json_object_set_new(o, "rates",
		json_pack("{s:f,s:f}", "results_per_s", meter_rate(&c->results, now), "tasks_per_s",
			meter_rate(&c->tasks, now)));
	json_object_set_new(o, "store",
		json_pack("{s:I,s:I}", "db_bytes", (json_int_t)store_bytes(c->store), "blob_bytes",
			(json_int_t)blobs_bytes(c->blobs)));
	json_object_set_new(o, "leases", json_integer((json_int_t)c->sched.live));
	json_object_set_new(o, "waiting_asks", json_integer((json_int_t)c->n_holds));
	json_object_set_new(o, "draining", json_boolean(c->draining));
	return o;
}
