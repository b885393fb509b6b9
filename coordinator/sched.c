/* SPDX-License-Identifier: Apache-2.0
 *
 * sched.c: tasks and their leases: issue, renewal, end, and what the end means for the task.
 * See sched.h for the states. Which task a worker gets is pick.c's, which votes agree relate.c's.
 */
#include "coordinator/sched.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct task) <= 16, "a task costs at most 16 bytes");
_Static_assert(JOB_RESULTS_MAX + EXPIRED_MAX + AUTHORS_MAX <= VOTES_MAX, "the votes of a task fit");

void sched_init(struct sched *s, enum independence by, struct chance chance)
{
	*s = (struct sched){ .chance = chance, .by = by };
	s->free_lease = s->first_lease = s->last_lease = s->free_past = NOBODY;
	s->job_by_id.seed = chance.next(chance.state);
	s->worker_by_id.seed = chance.next(chance.state);
	s->lease_by_id.seed = chance.next(chance.state);
	s->submitter_by_id.seed = chance.next(chance.state);
}

void sched_release(struct sched *s)
{
	for (size_t i = 0; i < s->n_jobs; i++) {
		free(s->jobs[i].tasks);
		free(s->jobs[i].window);
		free(s->jobs[i].had);
	}
	for (size_t i = 0; i < s->n_workers; i++)
		free(s->workers[i].locals);
	free(s->jobs);
	for (size_t i = 0; i < s->n_workers; i++)
		free(s->workers[i].only);
	free(s->workers);
	free(s->leases);
	free(s->past);
	free(s->undecided);
	free(s->submitter_leased);
	map_release(&s->job_by_id);
	map_release(&s->worker_by_id);
	map_release(&s->lease_by_id);
	map_release(&s->submitter_by_id);
	*s = (struct sched){ 0 };
}

/* --- the window: tasks that may be leased now, in no order -------------------------------- */
void window_add(struct sjob *j, int64_t index)
{
	struct task *t = &j->tasks[index];

	if (t->in_window)
		return;
	array_room(&j->window, &j->window_room, j->n_window, sizeof(*j->window));
	t->in_window = true;
	t->place = (uint32_t)j->n_window;
	j->window[j->n_window++] = (uint32_t)index;
}

void window_drop(struct sjob *j, int64_t index)
{
	struct task *t = &j->tasks[index];

	if (!t->in_window)
		return;
	uint32_t last = j->window[--j->n_window];

	j->window[t->place] = last;
	j->tasks[last].place = t->place;
	t->in_window = false;
}

/* --- one task a worker ---------------------------------------------------------------------- */
bool job_had(const struct sjob *j, uint32_t worker)
{
	for (size_t i = 0; i < j->n_had; i++)
		if (j->had[i] == worker)
			return true;
	return false;
}

static void had_add(struct sjob *j, uint32_t worker)
{
	if (!j->needs.n_local || job_had(j, worker))
		return;
	array_room(&j->had, &j->had_room, j->n_had, sizeof(*j->had));
	j->had[j->n_had++] = worker;
}

/* It did nothing with it: it may have one again. */
static void had_drop(struct sjob *j, uint32_t worker)
{
	for (size_t i = 0; i < j->n_had; i++)
		if (j->had[i] == worker) {
			j->had[i] = j->had[--j->n_had];
			return;
		}
}

/* --- a task's state ----------------------------------------------------------------------- */
static void set_state(struct sjob *j, struct task *t, enum task_state state)
{
	j->tally[t->state]--;
	j->tally[state]++;
	t->state = (uint8_t)state;
}

/* From what is known of a task that is not final: is a vote in, is it leased? */
static void restate(struct sched *s, struct sjob *j, struct task *t)
{
	bool voted = false;

	for (uint32_t i = t->results; i != NOBODY; i = s->past[i].next)
		voted |= s->past[i].vote.kind == VOTE;
	set_state(j, t, voted ? TASK_CHECKING : t->leased ? TASK_RUNNING : TASK_PENDING);
}

static void finish(struct sched *s, struct sjob *j, int64_t index, enum task_state state)
{
	struct task *t = &j->tasks[index];

	assert(!TASK_IS_FINAL(t->state) && !t->leased);
	window_drop(j, index);
	t->undecided = false;
	while (t->results != NOBODY)
		past_drop(s, &t->results);
	set_state(j, t, state);
}

static void await_relations(struct sched *s, struct sjob *j, int64_t index)
{
	struct task *t = &j->tasks[index];

	restate(s, j, t);
	window_drop(j, index);
	t->undecided = true;
	array_room(&s->undecided, &s->undecided_room, s->n_undecided, sizeof(*s->undecided));
	s->undecided[s->n_undecided++] =
		(struct undecided){ (uint32_t)(j - s->jobs), index, j->row };
}

/* What the votes say now: final, open again, or nothing yet (NEED_MORE too, and the task is undecided). */
static struct verdict judge(struct sched *s, struct sjob *j, int64_t index)
{
	struct vote votes[VOTES_MAX];
	struct task *t = &j->tasks[index];
	struct relation relation;
	size_t n_votes, n = task_votes(s, t, votes, &n_votes);

	if (j->tolerant && !task_relate(s, j, votes, n_votes, &relation)) {
		await_relations(s, j, index);
		return (struct verdict){ .what = NEED_MORE };
	}
	struct verdict v = quorum_judge(votes, n, &j->rule, j->tolerant ? &relation : NULL);

	if (v.what == NEED_MORE) {
		restate(s, j, t);
		window_add(j, index);
		s->stirred = true;
	} else {
		finish(s, j, index, v.what == AGREED_VALID ? TASK_VALID : TASK_FAILED);
	}
	return v;
}

struct verdict sched_settle(struct sched *s, size_t k, uint32_t *job, int64_t *index)
{
	struct sjob *j = task_undecided(s, k);
	struct undecided u = s->undecided[k];

	s->undecided[k] = s->undecided[--s->n_undecided];
	*job = j ? u.job : NOBODY;
	*index = u.index;
	if (!j)
		return (struct verdict){ .what = NEED_MORE };
	j->tasks[u.index].undecided = false;
	return judge(s, j, u.index);
}

/* --- leases ------------------------------------------------------------------------------- */
static void lease_name(unsigned char name[32], const unsigned char id[LEASE_ID_BYTES])
{
	memset(name, 0, 32);
	memcpy(name, id, LEASE_ID_BYTES);
}

uint32_t sched_find_lease(const struct sched *s, const unsigned char id[LEASE_ID_BYTES])
{
	unsigned char name[32];

	lease_name(name, id);
	return map_get(&s->lease_by_id, name);
}

/* Every term is the same length, so the list in order of renewal is in order of expiry. */
static void list_append(struct sched *s, uint32_t at)
{
	s->leases[at].before = s->last_lease;
	s->leases[at].after = NOBODY;
	if (s->last_lease != NOBODY)
		s->leases[s->last_lease].after = at;
	else
		s->first_lease = at;
	s->last_lease = at;
}

static void list_drop(struct sched *s, uint32_t at)
{
	struct lease *l = &s->leases[at];

	*(l->before != NOBODY ? &s->leases[l->before].after : &s->first_lease) = l->after;
	*(l->after != NOBODY ? &s->leases[l->after].before : &s->last_lease) = l->before;
}

uint32_t lease_new(struct sched *s, uint32_t worker, uint32_t job, int64_t index, int64_t now,
	const unsigned char id[LEASE_ID_BYTES])
{
	struct sjob *j = &s->jobs[job];
	struct task *t = &j->tasks[index];
	uint32_t at = s->free_lease;
	unsigned char name[32];

	assert(!t->leased && !t->undecided && !TASK_IS_FINAL(t->state));
	if (at == NOBODY) {
		array_room(&s->leases, &s->leases_room, s->n_leases, sizeof(*s->leases));
		at = (uint32_t)s->n_leases++;
	} else {
		s->free_lease = s->leases[at].after;
	}
	struct lease *l = &s->leases[at];
	*l = (struct lease){ .worker = worker,
		.job = job,
		.index = index,
		.until_ms = now + LEASE_TERM_MS,
		.voter = s->workers[worker].voter,
		.copy = t->state == TASK_CHECKING };
	memcpy(l->id, id, LEASE_ID_BYTES);
	lease_name(name, id);
	map_put(&s->lease_by_id, name, at);
	list_append(s, at);
	window_drop(j, index);
	had_add(j, worker);
	t->leased = true;
	t->place = at;
	restate(s, j, t);
	s->workers[worker].leased++;
	s->workers[worker].ever_leased = true;
	s->submitter_leased[j->submitter]++;
	j->leased++;
	s->live++;
	return at;
}

/* Take the lease away; gives back what is needed to go on with its task. */
static struct lease lease_end(struct sched *s, uint32_t at)
{
	struct lease l = s->leases[at];
	struct sjob *j = &s->jobs[l.job];
	unsigned char name[32];

	assert(l.worker != NOBODY);
	lease_name(name, l.id);
	map_drop(&s->lease_by_id, name);
	list_drop(s, at);
	j->tasks[l.index].leased = false;
	s->workers[l.worker].leased--;
	s->submitter_leased[j->submitter]--;
	j->leased--;
	s->live--;
	s->leases[at].worker = NOBODY;
	s->leases[at].after = s->free_lease;
	s->free_lease = at;
	return l;
}

void sched_renew(struct sched *s, uint32_t lease, int64_t now)
{
	list_drop(s, lease);
	s->leases[lease].until_ms = now + LEASE_TERM_MS;
	list_append(s, lease);
}

bool sched_relayed(struct sched *s, uint32_t lease)
{
	struct lease *l = &s->leases[lease];
	const struct voter *now = &s->workers[l->worker].voter;

	if (!now->relay || l->voter.relay)
		return false;
	l->voter.relay = now->relay;
	l->voter.net = now->net;
	return true;
}

uint32_t sched_overdue(const struct sched *s, int64_t now)
{
	uint32_t at = s->first_lease;

	return at != NOBODY && s->leases[at].until_ms <= now ? at : NOBODY;
}

int64_t sched_next_expiry(const struct sched *s)
{
	return s->first_lease == NOBODY ? INT64_MAX : s->leases[s->first_lease].until_ms;
}

/* Fades with a time constant of about eight seconds. */
double worker_pace(const struct worker *w, int64_t now)
{
	double gone = (double)(now - w->paced_ms) / 8000.0;

	return w->pace / (1.0 + gone + gone * gone / 2);
}

static void pace(struct worker *w, int64_t now)
{
	w->pace = worker_pace(w, now) + 1.0 / 8.0;
	w->paced_ms = now;
	w->returned++;
}

struct verdict sched_result(struct sched *s, uint32_t lease, enum vote_kind kind, bool success,
	const struct digest *outcome, int64_t ref, int64_t now)
{
	struct lease l = lease_end(s, lease);
	struct sjob *j = &s->jobs[l.job];
	struct vote v = {
		.kind = kind, .success = success, .from = l.voter, .outcome = *outcome, .ref = ref
	};

	pace(&s->workers[l.worker], now);
	s->stirred = true; /* also when nothing new is leasable: this worker may hold one more */
	past_add(s, &j->tasks[l.index], &v);
	return judge(s, j, l.index);
}

struct verdict sched_expire(struct sched *s, uint32_t lease)
{
	struct lease l = lease_end(s, lease);
	struct sjob *j = &s->jobs[l.job];
	struct vote v = { .kind = EXPIRED, .from = l.voter };

	had_drop(j, l.worker);
	if (!past_expired(s, &j->tasks[l.index], l.worker))
		past_add(s, &j->tasks[l.index], &v);
	return judge(s, j, l.index);
}

void sched_give_back(struct sched *s, uint32_t lease)
{
	struct lease l = lease_end(s, lease);
	struct sjob *j = &s->jobs[l.job];

	had_drop(j, l.worker);
	restate(s, j, &j->tasks[l.index]);
	window_add(j, l.index);
	s->stirred = true;
}

/* --- endings ------------------------------------------------------------------------------ */
size_t sched_cancel(struct sched *s, uint32_t job, int64_t *out, size_t max)
{
	struct sjob *j = &s->jobs[job];
	size_t n = 0;

	if (!j->ending) {
		j->ending = true;
		j->fresh = 0; /* from here on: the first task that may not be final */
	}
	for (; j->fresh < j->count && n < max; j->fresh++) {
		struct task *t = &j->tasks[j->fresh];

		if (TASK_IS_FINAL(t->state))
			continue;
		assert(!t->leased); /* the caller ended its leases first */
		finish(s, j, j->fresh, TASK_CANCELLED);
		out[n++] = j->fresh;
	}
	return n;
}

static void unvote_task(struct sched *s, struct sjob *j, struct task *t, uint32_t worker)
{
	bool changed = false;

	for (uint32_t *at = &t->results; *at != NOBODY;) {
		const struct vote *v = &s->past[*at].vote;

		if (v->from.worker == worker && v->kind != AUTHOR && v->kind != WRITTEN) {
			past_drop(s, at);
			changed = true;
		} else {
			at = &s->past[*at].next;
		}
	}
	if (changed)
		restate(s, j, t);
	s->stirred |= changed;
}

void sched_unvote(struct sched *s, uint32_t worker)
{
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct sjob *j = &s->jobs[i];

		for (size_t k = 0; !j->gone && k < j->n_window; k++)
			unvote_task(s, j, &j->tasks[j->window[k]], worker);
	}
	for (uint32_t at = s->first_lease; at != NOBODY; at = s->leases[at].after) {
		struct sjob *j = &s->jobs[s->leases[at].job];

		unvote_task(s, j, &j->tasks[s->leases[at].index], worker);
	}
	for (size_t k = 0; k < s->n_undecided; k++) {
		struct sjob *j = task_undecided(s, k);

		if (j)
			unvote_task(s, j, &j->tasks[s->undecided[k].index], worker);
	}
}

/* --- what the store remembers ------------------------------------------------------------- */
void sched_restore_final(struct sched *s, uint32_t job, int64_t index, enum task_state state)
{
	if (!TASK_IS_FINAL(s->jobs[job].tasks[index].state))
		finish(s, &s->jobs[job], index, state);
}

void sched_restore_had(struct sched *s, uint32_t job, uint32_t worker)
{
	if (worker != NOBODY)
		had_add(&s->jobs[job], worker);
}

void sched_restore_vote(struct sched *s, uint32_t job, int64_t index, const struct vote *v)
{
	struct sjob *j = &s->jobs[job];
	struct task *t = &j->tasks[index];

	if (TASK_IS_FINAL(t->state) || (v->kind == EXPIRED && past_expired(s, t, v->from.worker)))
		return;
	past_add(s, t, v);
	restate(s, j, t);
	if (!t->leased)
		window_add(j, index);
}

void sched_restore_lease(struct sched *s, const struct lease *l, int64_t now)
{
	if (TASK_IS_FINAL(s->jobs[l->job].tasks[l->index].state))
		return;
	uint32_t at = lease_new(s, l->worker, l->job, l->index, now, l->id);

	s->leases[at].voter = l->voter;
}

void sched_restore_done(struct sched *s, uint32_t job)
{
	struct sjob *j = &s->jobs[job];
	struct vote votes[VOTES_MAX];
	struct relation relation;

	for (int64_t i = 0; j->tolerant && i < j->count; i++) {
		const struct task *t = &j->tasks[i];
		size_t n = 0;

		if (TASK_IS_FINAL(t->state) || t->leased || t->results == NOBODY)
			continue;
		task_votes(s, t, votes, &n);
		if (!task_relate(s, j, votes, n, &relation))
			await_relations(s, j, i);
	}
}
