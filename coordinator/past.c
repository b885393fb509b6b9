/* SPDX-License-Identifier: Apache-2.0
 *
 * past.c: what has come in for a task that is not final: votes, attempts, leases that ran out, authors of checkpoints; in the
 * order they came, as a list in the scheduler's pool.
 */
#include "coordinator/sched.h"

void past_add(struct sched *s, struct task *t, const struct vote *v)
{
	uint32_t at = s->free_past, *end = &t->results;

	if (at == NOBODY) {
		array_room(&s->past, &s->past_room, s->n_past, sizeof(*s->past));
		at = (uint32_t)s->n_past++;
	} else {
		s->free_past = s->past[at].next;
	}
	s->past[at] = (struct past){ .vote = *v, .next = NOBODY };
	for (; *end != NOBODY; end = &s->past[*end].next)
		if (s->past[*end].vote.kind == AUTHOR && (v->kind == VOTE || v->kind == ATTEMPT))
			s->past[*end].vote.kind = WRITTEN;
	*end = at;
}

void past_drop(struct sched *s, uint32_t *from)
{
	uint32_t at = *from;

	*from = s->past[at].next;
	s->past[at].next = s->free_past;
	s->free_past = at;
}

static const struct vote *first_vote(const struct sched *s, const struct task *t)
{
	for (uint32_t i = t->results; i != NOBODY; i = s->past[i].next)
		if (s->past[i].vote.kind == VOTE)
			return &s->past[i].vote;
	return NULL;
}

bool task_open_to(const struct sched *s, const struct sjob *j, int64_t index, const struct voter *v)
{
	const struct vote *first = j->rule.same_class ? first_vote(s, &j->tasks[index]) : NULL;

	if (first && first->from.kind != v->kind)
		return false;
	for (uint32_t i = j->tasks[index].results; i != NOBODY; i = s->past[i].next)
		if (s->past[i].vote.kind != EXPIRED && s->past[i].vote.kind != AUTHOR &&
			!voters_independent(&s->past[i].vote.from, v, j->rule.by))
			return false;
	return true;
}

/* A worker that lets the same task expire again counts once. */
bool past_expired(const struct sched *s, const struct task *t, uint32_t worker)
{
	for (uint32_t i = t->results; i != NOBODY; i = s->past[i].next)
		if (s->past[i].vote.kind == EXPIRED && s->past[i].vote.from.worker == worker)
			return true;
	return false;
}

bool sched_author(struct sched *s, uint32_t job, int64_t index, const struct voter *v)
{
	struct task *t = &s->jobs[job].tasks[index];
	struct vote author = { .kind = AUTHOR, .from = *v };
	int n = 0;

	for (uint32_t i = t->results; i != NOBODY; i = s->past[i].next) {
		const struct vote *p = &s->past[i].vote;

		if (p->kind == AUTHOR && p->from.worker == v->worker)
			return true; /* it wrote a newer one */
		n += p->kind == AUTHOR || p->kind == WRITTEN;
	}
	if (n == AUTHORS_MAX)
		return false;
	past_add(s, t, &author);
	return true;
}

bool sched_is_author(const struct sched *s, uint32_t lease, uint32_t worker)
{
	const struct lease *l = &s->leases[lease];

	for (uint32_t i = s->jobs[l->job].tasks[l->index].results; i != NOBODY; i = s->past[i].next)
		if (s->past[i].vote.kind == AUTHOR && s->past[i].vote.from.worker == worker)
			return true;
	return false;
}
