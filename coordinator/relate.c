/* SPDX-License-Identifier: Apache-2.0
 *
 * relate.c: the votes of one task beside each other: which agree, and of which that is not known yet.
 */
#include "coordinator/sched.h"

size_t task_votes(const struct sched *s, const struct task *t, struct vote *votes, size_t *n_votes)
{
	size_t n = 0;

	for (int round = 0; round < 2; round++) {
		for (uint32_t i = t->results; i != NOBODY && n < VOTES_MAX; i = s->past[i].next)
			if ((s->past[i].vote.kind == VOTE) == (round == 0))
				votes[n++] = s->past[i].vote;
		if (round == 0)
			*n_votes = n < RELATED_MAX ? n : RELATED_MAX;
	}
	return n;
}

static enum related relate(
	const struct sched *s, const struct sjob *j, const struct vote *a, const struct vote *b)
{
	if (digest_equal(&a->outcome, &b->outcome))
		return AGREE;
	if (a->success != b->success || (j->rule.same_class && a->from.kind != b->from.kind))
		return DIFFER;
	return s->relating.between ? s->relating.between(s->relating.arg, j, a, b) : DIFFER;
}

bool task_relate(const struct sched *s, const struct sjob *j, const struct vote *votes, size_t n,
	struct relation *relation)
{
	*relation = (struct relation){ { 0 } };
	for (size_t i = n; i-- > 1;) /* what is not known is about the newest, mostly */
		for (size_t k = 0; k < i; k++) {
			enum related r = relate(s, j, &votes[i], &votes[k]);

			if (r == UNRELATED)
				return false;
			relation->agrees[i] |= (uint64_t)(r == AGREE) << k;
			relation->agrees[k] |= (uint64_t)(r == AGREE) << i;
		}
	return true;
}

struct sjob *task_undecided(const struct sched *s, size_t k)
{
	const struct undecided *u = &s->undecided[k];
	struct sjob *j = &s->jobs[u->job];

	return !j->gone && j->row == u->row && j->tasks[u->index].undecided ? j : NULL;
}

bool sched_unrelated(const struct sched *s, size_t k, uint32_t *job, struct vote *a, struct vote *b)
{
	const struct sjob *j = task_undecided(s, k);
	struct vote votes[VOTES_MAX];
	size_t n = 0;

	if (!j)
		return false;
	task_votes(s, &j->tasks[s->undecided[k].index], votes, &n);
	for (size_t x = 1; x < n; x++)
		for (size_t y = 0; y < x; y++)
			if (relate(s, j, &votes[x], &votes[y]) == UNRELATED) {
				*job = s->undecided[k].job;
				*a = votes[y];
				*b = votes[x];
				return true;
			}
	return false;
}
