/* SPDX-License-Identifier: Apache-2.0
 *
 * quorum.c: decide what the results of a task prove.
 *
 * Votes with equal outcomes agree. Under one outcome a key counts once, a network once, an owner
 * once: a vote is counted only when it is independent of every one counted before it. An outcome
 * wins when `quorum` votes count for it. Where votes agree by a tolerance, agreement is not transitive: then a quorum is
 * a clique, and the first one wins. Nothing here reads a clock, a socket or the database:
 * same input, same verdict.
 */
#include "coordinator/quorum.h"

static bool votes_match(const struct vote *a, const struct vote *b, const struct rule *rule)
{
	return digest_equal(&a->outcome, &b->outcome) &&
	       (!rule->same_class || a->from.kind == b->from.kind);
}

/* Collect into v the votes that count for the outcome of votes[first]. */
static void count_for(struct verdict *v, const struct vote *votes, size_t n, size_t first,
	const struct rule *rule)
{
	const struct voter *counted[QUORUM_MAX];

	v->n_counted = 0;
	for (size_t i = first; i < n && v->n_counted < rule->quorum; i++) {
		bool fresh = votes[i].kind == VOTE && votes_match(&votes[i], &votes[first], rule);

		for (int k = 0; fresh && k < v->n_counted; k++)
			fresh = voters_independent(counted[k], &votes[i].from, rule->by);
		if (!fresh)
			continue;
		counted[v->n_counted] = &votes[i].from;
		v->counted[v->n_counted++] = votes[i].ref;
	}
}

/* --- cliques -------------------------------------------------------------------------------------- */
struct search {
	const struct rule *rule;
	uint64_t may[RELATED_MAX]; /* bit k of may[i]: votes i and k may stand together */
	int chosen[QUORUM_MAX];
	int64_t steps;
};

static void pair_up(
	struct search *s, const struct vote *votes, size_t n, const struct relation *relation)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++) {
			bool both = votes[i].kind == VOTE && votes[k].kind == VOTE &&
			            votes[i].success == votes[k].success &&
			            (relation->agrees[i] >> k & 1) &&
			            (!s->rule->same_class ||
					    votes[i].from.kind == votes[k].from.kind) &&
			            voters_independent(&votes[k].from, &votes[i].from, s->rule->by);

			s->may[i] |= (uint64_t)both << k;
			s->may[k] |= (uint64_t)both << i;
		}
}

/* Whether `depth` chosen ones can be made a quorum from `open`: each of them goes with all that are chosen, and comes
 * after them. */
static bool extend(struct search *s, int depth, uint64_t open)
{
	if (depth == s->rule->quorum)
		return true;
	while (depth + __builtin_popcountll(open) >= s->rule->quorum && s->steps-- > 0) {
		int i = __builtin_ctzll(open);

		open &= open - 1; /* without i: only later ones are left */
		s->chosen[depth] = i;
		if (extend(s, depth + 1, open & s->may[i]))
			return true;
	}
	return false;
}

static bool find_clique(struct verdict *v, const struct vote *votes, size_t n,
	const struct rule *rule, const struct relation *relation)
{
	struct search s = { .rule = rule, .steps = CLIQUE_STEPS };
	size_t related = n < RELATED_MAX ? n : RELATED_MAX;
	uint64_t all = 0;

	pair_up(&s, votes, related, relation);
	for (size_t i = 0; i < related; i++)
		all |= (uint64_t)(votes[i].kind == VOTE) << i;
	if (!extend(&s, 0, all))
		return false;
	const struct vote *first = &votes[s.chosen[0]];
	v->what = first->success ? AGREED_VALID : AGREED_FAILED;
	v->outcome = first->outcome;
	v->n_counted = rule->quorum;
	for (int i = 0; i < rule->quorum; i++)
		v->counted[i] = votes[s.chosen[i]].ref;
	return true;
}

/* --- the verdict ---------------------------------------------------------------------------------- */
static bool find_equal(
	struct verdict *v, const struct vote *votes, size_t n, const struct rule *rule)
{
	for (size_t i = 0; i < n; i++) {
		if (votes[i].kind != VOTE)
			continue;
		count_for(v, votes, n, i, rule);
		if (v->n_counted < rule->quorum)
			continue;
		v->what = votes[i].success ? AGREED_VALID : AGREED_FAILED;
		v->outcome = votes[i].outcome;
		return true;
	}
	v->n_counted = 0;
	return false;
}

struct verdict quorum_judge(const struct vote *votes, size_t n, const struct rule *rule,
	const struct relation *relation)
{
	struct verdict v = { .what = NEED_MORE };
	int results = 0, expired = 0;

	for (size_t i = 0; i < n; i++) {
		results += votes[i].kind == VOTE || votes[i].kind == ATTEMPT;
		expired += votes[i].kind == EXPIRED;
	}
	if (relation ? find_clique(&v, votes, n, rule, relation) : find_equal(&v, votes, n, rule))
		return v;
	if (results >= rule->max_results)
		v.what = NO_AGREEMENT;
	else if (expired >= rule->max_expired)
		v.what = NO_RESULT;
	return v;
}
