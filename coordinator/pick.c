/* SPDX-License-Identifier: Apache-2.0
 *
 * pick.c: which task a worker gets, and who is there to get any.
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
#define CLASSES_MAX 16 /* looked at to say what a job waits for */

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
	struct needs n = { job->profile, job->memory_mib, job->disk_mib, job->threads,
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

static bool takes_from(const struct worker *w, const struct id *submitter)
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

static bool has_platform(const struct worker *w, const struct needs *n)
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

/* Each worker that has the data takes one task: say when there are more tasks than workers left. */
static void lacks_holders(const struct sched *s, const struct sjob *j, int64_t now, char *out, size_t size)
{
	int64_t open = j->count - j->leased - j->tally[TASK_VALID] - j->tally[TASK_FAILED] - j->tally[TASK_CANCELLED], have = 0;

	for (size_t i = 0; i < s->n_workers; i++)
		have += worker_online(&s->workers[i], now) && worker_can(&s->workers[i], &j->needs) &&
			!job_had(j, (uint32_t)i);
	if (open > have)
		snprintf(out, size, "%lld task%s need%s another worker that has the data %.60s and lets its submitter read it "
			    "(one task a worker)", (long long)(open - have), open - have == 1 ? "" : "s",
			open - have == 1 ? "s" : "", j->needs.local[0]);
}

/* Of the classes of workers that can run it (the first CLASSES_MAX met), the one with most independent workers: how many,
 * and its name. */
static int best_class(
	const struct sched *s, const struct needs *n, int64_t now, int enough, const char **name)
{
	uint64_t met[CLASSES_MAX];
	int best = 0, k = 0;

	*name = "";
	for (size_t i = 0; i < s->n_workers && k < CLASSES_MAX && best < enough; i++) {
		const struct worker *w = &s->workers[i];
		bool fresh = worker_online(w, now) && worker_can(w, n);

		for (int c = 0; fresh && c < k; c++)
			fresh = met[c] != w->voter.kind;
		if (!fresh)
			continue;
		met[k++] = w->voter.kind;
		int has = sched_independent(s, n, w->voter.kind, now, enough);
		if (has > best) {
			best = has;
			*name = w->platform_class;
		}
	}
	return best;
}

/* How many that count together the job has, up to its quorum; *class: theirs, where it asks for one of them. */
static int has_workers(const struct sched *s, const struct sjob *j, int64_t now, const char **class)
{
	*class = "";
	return j->rule.same_class ? best_class(s, &j->needs, now, j->rule.quorum, class)
	                          : sched_independent(s, &j->needs, 0, now, j->rule.quorum);
}

static void need_workers(char *out, size_t size, const struct sjob *j, int has, const char *class)
{
	int need = j->rule.quorum;
	const char *s = need == 1 ? "" : "s";

	if (j->rule.same_class && need > 1 && has)
		snprintf(out, size,
			"needs %d independent worker%s of one platform class, has %d of %s", need,
			s, has, class);
	else
		snprintf(out, size, "needs %d independent worker%s%s, has %d", need, s,
			j->rule.same_class && need > 1 ? " of one platform class" : "", has);
}

void sched_waiting(const struct sched *s, const struct sjob *j, int64_t now, char *out, size_t size)
{
	const char *class = "";
	int need = j->rule.quorum, has = has_workers(s, j, now, &class);

	out[0] = '\0';
	if (j->ending || sched_job_over(j))
		return;
	if (j->needs.n_local)
		lacks_holders(s, j, now, out, size);
	else if (has < need)
		need_workers(out, size, j, has, class);
	else if (j->leased == 0 && j->fresh >= j->count && j->n_window > 0 &&
		 j->tally[TASK_CHECKING] == (int64_t)j->n_window)
		snprintf(out, size,
			"%zu tasks need a worker independent of all who answered them so far%s",
			j->n_window, j->rule.same_class ? " and of their platform class" : "");
}

/* How many workers are online, and how many of these pass each hurdle after the ones before it. */
struct hurdles {
	int64_t known, online, box, profile, platform, takes, bits, local, memory, disk, cpus, at_work;
};

static void leap(struct hurdles *h, const struct worker *w, const struct needs *n, int64_t now)
{
	struct needs easy = *n;

	h->known += w->has_asked && !w->banned;
	if (!worker_online(w, now))
		return;
	h->online++;
	h->box += w->profiles != 0;
	bool so_far = (w->profiles & 1u << n->profile) != 0;

	h->profile += so_far;
	h->platform += so_far &= has_platform(w, n);
	h->takes += so_far &= takes_from(w, &n->submitter);
	h->bits += so_far &= !(n->bits & ~w->bits);
	easy.memory_mib = easy.disk_mib = easy.threads = 0;
	h->local += worker_can(w, &easy);
	easy.memory_mib = n->memory_mib;
	h->memory += worker_can(w, &easy);
	easy.disk_mib = n->disk_mib;
	h->disk += worker_can(w, &easy);
	h->cpus += worker_can(w, n);
	h->at_work += worker_can(w, n) && (w->state == RUN || w->leased > 0);
}

/* The first hurdle that no worker passes, as what "none of them" does; empty when there is none. */
static void first_hurdle(const struct hurdles *h, const struct needs *n, char *out, size_t size)
{
	out[0] = '\0';
	if (!h->box)
		snprintf(out, size, "can set up a box: `talkoot-worker check` on its machine says why");
	else if (!h->profile)
		snprintf(out, size, "can set up a box of the job's profile: `talkoot-worker check` on its machine says why");
	else if (!h->platform)
		snprintf(out, size, "runs programs for %s", n->n_platforms ? n->platforms[0] : "its platform");
	else if (!h->takes)
		snprintf(out, size, "takes its submitter's jobs (its owner's --submitters)");
	else if (!h->bits)
		snprintf(out, size, "allows the bits that the job asks for (its owner's --bits)");
	else if (!h->local)
		snprintf(out, size, "has the data %.60s for its submitter (its owner's --allow-local and --local-for)",
			n->local[0]);
	else if (!h->memory)
		snprintf(out, size, "gives a task %lld MiB of memory", (long long)n->memory_mib);
	else if (!h->disk)
		snprintf(out, size, "gives a task %lld MiB of disk", (long long)n->disk_mib);
	else if (!h->cpus)
		snprintf(out, size, "has %lld processors", (long long)n->threads);
	else if (!h->at_work)
		snprintf(out, size, "takes work now: they are paused or leaving");
}

void sched_unmet(const struct sched *s, const struct needs *n, int64_t now, char *out, size_t size)
{
	struct hurdles h = { 0 };

	for (size_t i = 0; i < s->n_workers; i++)
		leap(&h, &s->workers[i], n, now);
	out[0] = '\0';
	if (h.online && !h.cpus && !n->n_local)
		first_hurdle(&h, n, out, size);
}

void sched_lacking(const struct sched *s, const struct sjob *j, int64_t now, char *out, size_t size)
{
	const struct needs *n = &j->needs;
	struct hurdles h = { 0 };
	char why[160] = "";
	const char *class;

	out[0] = '\0';
	if (j->ending || sched_job_over(j) || has_workers(s, j, now, &class) >= j->rule.quorum)
		return;
	for (size_t i = 0; i < s->n_workers; i++)
		leap(&h, &s->workers[i], n, now);
	if (!h.online) {
		snprintf(out, size, h.known ? "none of the %lld workers that came before is online" : "no worker has come yet",
			(long long)h.known);
		return;
	}
	first_hurdle(&h, n, why, sizeof(why));
	if (*why)
		snprintf(out, size, "%lld worker%s online, but none %s", (long long)h.online, h.online == 1 ? " is" : "s are",
			why);
	else
		snprintf(out, size, "%lld worker%s online, %lld can run it; two of one network, or of one owner, count as one%s",
			(long long)h.online, h.online == 1 ? " is" : "s are", (long long)h.at_work,
			j->rule.same_class ? ", and only those of one platform class count together" : "");
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
