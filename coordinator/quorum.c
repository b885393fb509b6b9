/* SPDX-License-Identifier: Apache-2.0
 *
 * quorum.c: decide what the results of a task prove.
 *
 * Votes with equal outcomes agree. Under one outcome a key counts once, a network once, an owner
 * once: a vote is counted only when it is independent of every one counted before it. An outcome
 * wins when `quorum` votes count for it. Nothing here reads a clock, a socket or the database:
 * same input, same verdict.
 */
#include "coordinator/quorum.h"

/* Collect into v the votes that count for the outcome of votes[first]. */
static void count_for(struct verdict *v, const struct vote *votes, size_t n, size_t first,
	const struct rule *rule)
{
	const struct voter *counted[QUORUM_MAX];

	v->n_counted = 0;
	for (size_t i = first; i < n && v->n_counted < rule->quorum; i++) {
		bool fresh = votes[i].kind == VOTE &&
		             digest_equal(&votes[i].outcome, &votes[first].outcome);

		for (int k = 0; fresh && k < v->n_counted; k++)
			fresh = voters_independent(counted[k], &votes[i].from, rule->by);
		if (!fresh)
			continue;
		counted[v->n_counted] = &votes[i].from;
		v->counted[v->n_counted++] = votes[i].ref;
	}
}

struct verdict quorum_judge(const struct vote *votes, size_t n, const struct rule *rule)
{
	struct verdict v = { .what = NEED_MORE };
	int results = 0, expired = 0;

	for (size_t i = 0; i < n; i++) {
		results += votes[i].kind == VOTE || votes[i].kind == ATTEMPT;
		expired += votes[i].kind == EXPIRED;
		if (votes[i].kind != VOTE)
			continue;
		count_for(&v, votes, n, i, rule);
		if (v.n_counted < rule->quorum)
			continue;
		v.what = votes[i].success ? AGREED_VALID : AGREED_FAILED;
		v.outcome = votes[i].outcome;
		return v;
	}
	v.n_counted = 0;
	if (results >= rule->max_results)
		v.what = NO_AGREEMENT;
	else if (expired >= rule->max_expired)
		v.what = NO_RESULT;
	return v;
}
