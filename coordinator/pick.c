/* SPDX-License-Identifier: Apache-2.0
 *
 * pick.c: which task a worker gets, and who is there to get any. Why nothing moves is lacking.c's to say.
 *
 * Between submitters the one with the fewest live leases goes first; among one submitter's jobs
 * priority, then the fewest leases, then age. Within a job the task is drawn at random from a
 * window of open tasks: so the order of indices tells nobody whether theirs is a first copy. A
 * window may fill with tasks that a worker may not repeat; then it gets none of this job, and that
 * is the back-pressure wanted: results that nobody can confirm do not pile up.
 */
#include "coordinator/sched.h"

#include <stdlib.h>
#include <string.h>

#define PROBES 24     /* random draws before looking in turn */
#define SCAN_MAX 4096 /* then this many in turn */
#define INDEPENDENT_MAX 64

static uint64_t below(struct sched *s, uint64_t n)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % n, r;

	do
		r = s->chance.next(s->chance.state);
	while (r >= limit);
	return r % n;
}

/* --- jobs and workers --------------------------------------------------------------------- */
static uint32_t submitter_of(struct sched *s, const struct id *id)
{
	uint32_t at = map_get(&s->submitter_by_id, id->b);

	if (at != MAP_NONE)
		return at;
	array_room(&s->submitter_leased, &s->submitters_room, s->n_submitters, sizeof(int64_t));
	at = (uint32_t)s->n_submitters++;
	s->submitter_leased[at] = 0;
	map_put(&s->submitter_by_id, id->b, at);
	return at;
}

static uint32_t free_job(struct sched *s)
{
	for (size_t i = 0; s->active < s->n_jobs && i < s->n_jobs; i++)
		if (s->jobs[i].gone)
			return (uint32_t)i;
	array_room(&s->jobs, &s->jobs_room, s->n_jobs, sizeof(*s->jobs));
	return (uint32_t)s->n_jobs++;
}

struct needs needs_of(const struct job *job)
{
	struct needs n = { job->profile, job->memory_mib, job_wants_disk_mib(job), job->threads,
		.n_platforms = job->n_programs, .bits = job->bits, .n_local = job->n_local, .submitter = job->submitter };

	memcpy(n.local, job->local, sizeof(n.local));
	for (size_t i = 0; i < job->n_programs; i++)
		memcpy(n.platforms[i], job->programs[i].platform, sizeof(n.platforms[i]));
	return n;
}

uint32_t sched_add_job(struct sched *s, const struct job *job, int64_t row)
{
	uint32_t at = free_job(s);
	struct sjob *j = &s->jobs[at];

	*j = (struct sjob){ .id = job->id,
		.row = row,
		.submitter = submitter_of(s, &job->submitter),
		.count = job->count,
		.max_failures = job->max_failures,
		.priority = job->priority,
		.tolerant = job_tolerant(job),
		.rule = { job->quorum, (int)job->max_results, EXPIRED_MAX, s->by, job->same_class },
		.needs = needs_of(job) };
	j->tasks = xcalloc((size_t)j->count, sizeof(*j->tasks));
	for (int64_t i = 0; i < j->count; i++)
		j->tasks[i].results = NOBODY;
	j->tally[TASK_PENDING] = j->count;
	map_put(&s->job_by_id, j->id.b, at);
	s->active++;
	s->stirred = true;
	return at;
}

uint32_t sched_job(const struct sched *s, const struct digest *id)
{
	return map_get(&s->job_by_id, id->b);
}

bool sched_job_over(const struct sjob *j)
{
	return j->tally[TASK_VALID] + j->tally[TASK_FAILED] + j->tally[TASK_CANCELLED] == j->count;
}

void sched_drop_job(struct sched *s, uint32_t job)
{
	struct sjob *j = &s->jobs[job];

	map_drop(&s->job_by_id, j->id.b);
	free(j->tasks);
	free(j->window);
	free(j->had);
	*j = (struct sjob){ .gone = true };
	s->active--;
}

uint32_t sched_worker(const struct sched *s, const struct id *id)
{
	return map_get(&s->worker_by_id, id->b);
}

uint32_t sched_add_worker(struct sched *s, const struct id *id)
{
	if (s->n_workers >= WORKERS_MAX)
		return NOBODY;
	array_room(&s->workers, &s->workers_room, s->n_workers, sizeof(*s->workers));
	uint32_t at = (uint32_t)s->n_workers++;

	s->workers[at] = (struct worker){ .id = *id,
		.voter = { .worker = at, .net = NETWORK_UNKNOWN, .self = node_tag(id) } };
	map_put(&s->worker_by_id, id->b, at);
	return at;
}

bool worker_online(const struct worker *w, int64_t now)
{
	return w->has_asked && !w->banned && now - w->seen_ms < ONLINE_MS;
}

bool takes_from(const struct worker *w, const struct id *submitter)
{
	uint64_t tag = node_tag(submitter);

	for (size_t i = 0; i < w->n_only; i++)
		if (w->only[i] == tag)
			return true;
	return w->n_only == 0;
}

static bool has_name(const struct locals *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->names[i], name))
			return true;
	return false;
}

/* All of the data, and for this submitter. */
static bool has_local(const struct locals *l, const struct needs *n)
{
	bool serves = false;

	for (size_t i = 0; l && i < n->n_local; i++)
		if (!has_name(l, n->local[i]))
			return false;
	for (size_t i = 0; l && i < l->n_keys; i++)
		serves |= id_equal(&l->keys[i], &n->submitter);
	return serves;
}

bool has_platform(const struct worker *w, const struct needs *n)
{
	for (size_t i = 0; i < n->n_platforms; i++)
		if (!strcmp(w->platform, n->platforms[i]))
			return true;
	return false;
}

bool worker_can(const struct worker *w, const struct needs *n)
{
	if ((n->bits & ~w->bits) || !takes_from(w, &n->submitter) || !(w->profiles & 1u << n->profile) ||
		w->memory_mib < n->memory_mib || w->disk_mib < n->disk_mib || w->cpus < n->threads ||
		(n->n_local && !has_local(w->locals, n)))
		return false;
	return has_platform(w, n);
}

/* Enough to keep its slots busy, and what it has shown to finish in about four seconds: so a
 * hoarder holds little, and short tasks travel in batches. */
int64_t worker_cap(const struct worker *w, int64_t now)
{
	int64_t cap = 2 * w->slots + 2, shown = (int64_t)(worker_pace(w, now) * 4.0);

	if (w->returned == 0 && cap > LEASES_NEWCOMER)
		cap = LEASES_NEWCOMER;
	if (cap < shown)
		cap = shown;
	return cap < LEASES_PER_WORKER ? cap : LEASES_PER_WORKER;
}

bool sched_anyone_can(const struct sched *s, const struct needs *n)
{
	for (size_t i = 0; i < s->n_workers; i++)
		if (s->workers[i].has_asked && !s->workers[i].banned &&
			worker_can(&s->workers[i], n))
			return true;
	return false;
}

int sched_independent(
	const struct sched *s, const struct needs *n, uint64_t kind, int64_t now, int enough)
{
	const struct voter *found[INDEPENDENT_MAX];
	int k = 0;

	for (size_t i = 0; i < s->n_workers && k < enough && k < INDEPENDENT_MAX; i++) {
		const struct worker *w = &s->workers[i];
		bool works = w->state == RUN || w->leased > 0; /* not paused, not leaving */
		bool fresh = works && worker_online(w, now) && worker_can(w, n) &&
		             (!kind || w->voter.kind == kind);

		for (int c = 0; fresh && c < k; c++)
			fresh = voters_independent(found[c], &w->voter, s->by);
		if (fresh)
			found[k++] = &w->voter;
	}
	return k;
}

/* --- picking ------------------------------------------------------------------------------ */
static void fill_window(struct sjob *j)
{
	int64_t size = WINDOW_PER_LEASE * j->leased;

	if (size < WINDOW_MIN)
		size = WINDOW_MIN;
	for (; j->fresh < j->count && (int64_t)j->n_window < size; j->fresh++) {
		struct task *t = &j->tasks[j->fresh];

		if (!t->leased && !t->undecided && !TASK_IS_FINAL(t->state))
			window_add(j, j->fresh);
	}
}

/* A task of this job for this worker, or -1. */
static int64_t pick_task(struct sched *s, struct sjob *j, const struct voter *v)
{
	fill_window(j);
	if (j->n_window == 0)
		return -1;
	for (int i = 0; i < PROBES; i++) {
		int64_t index = j->window[below(s, j->n_window)];

		if (task_open_to(s, j, index, v))
			return index;
	}
	size_t from = below(s, j->n_window);
	for (size_t i = 0; i < j->n_window && i < SCAN_MAX; i++) {
		int64_t index = j->window[(from + i) % j->n_window];

		if (task_open_to(s, j, index, v))
			return index;
	}
	return -1;
}

/* Whether a comes before b. */
static bool goes_first(const struct sched *s, const struct sjob *a, const struct sjob *b)
{
	int64_t la = s->submitter_leased[a->submitter], lb = s->submitter_leased[b->submitter];

	if (a->submitter != b->submitter && la != lb)
		return la < lb;
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->leased != b->leased)
		return a->leased < b->leased;
	return a->row < b->row;
}

static size_t candidates(const struct sched *s, uint32_t worker, uint32_t *out)
{
	const struct worker *w = &s->workers[worker];
	size_t n = 0;

	for (size_t i = 0; i < s->n_jobs && n < JOBS_ACTIVE_MAX; i++) {
		const struct sjob *j = &s->jobs[i];

		if (!j->gone && !j->ending && !j->waits && (j->n_window > 0 || j->fresh < j->count) &&
			worker_can(w, &j->needs) && !(j->needs.n_local && job_had(j, worker)))
			out[n++] = (uint32_t)i;
	}
	return n;
}

static int by_job(const void *a, const void *b, void *sched)
{
	const struct sched *s = sched;
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	x = s->leases[x].job;
	y = s->leases[y].job;
	return (x > y) - (x < y);
}

size_t sched_lease(struct sched *s, uint32_t worker, size_t want, int64_t now, uint32_t *out,
	void (*draw_id)(unsigned char id[LEASE_ID_BYTES]))
{
	uint32_t jobs[JOBS_ACTIVE_MAX];
	const struct voter v = s->workers[worker].voter;
	size_t n = 0, n_jobs = candidates(s, worker, jobs);
	int64_t room = worker_cap(&s->workers[worker], now) - s->workers[worker].leased;

	if (want > LEASES_PER_ASK)
		want = LEASES_PER_ASK;
	while (n_jobs > 0 && n < want && (int64_t)n < room) {
		unsigned char id[LEASE_ID_BYTES];
		size_t best = 0;

		for (size_t i = 1; i < n_jobs; i++)
			if (goes_first(s, &s->jobs[jobs[i]], &s->jobs[jobs[best]]))
				best = i;
		int64_t index = pick_task(s, &s->jobs[jobs[best]], &v);
		if (index < 0) {
			jobs[best] = jobs[--n_jobs];
			continue;
		}
		draw_id(id);
		out[n++] = lease_new(s, worker, jobs[best], index, now, id);
		if (s->jobs[jobs[best]].needs.n_local)
			jobs[best] = jobs[--n_jobs]; /* one task a worker */
	}
	qsort_r(out, n, sizeof(*out), by_job, s);
	return n;
}
