/* SPDX-License-Identifier: Apache-2.0
 *
 * quorum.h: what the results that came back for a task prove.
 */
#ifndef COORDINATOR_QUORUM_H
#define COORDINATOR_QUORUM_H

#include "common/digest.h"
#include "coordinator/trust.h"

enum vote_kind {
	VOTE,    /* ran to its end (exited, signaled): its outcome votes */
	ATTEMPT, /* ended by a limit, the policy or the set-up: counts towards max_results only */
	EXPIRED, /* a lease that ran out; at most one a worker */
	AUTHOR,  /* wrote a checkpoint since the last result; does not count yet */
	WRITTEN, /* wrote one that a result rests on: no other copy is for it or who depends on it */
};

struct vote {
	enum vote_kind kind;
	bool success; /* exit 0, no signal */
	struct voter from;
	struct digest outcome;
	int64_t ref; /* the caller's name for it */
};

/* Which of a task's votes agree, where that is more than equal outcomes (a tolerance): bit k of agrees[i] says it of
 * votes i and k. Symmetric; perhaps not transitive. Only votes of kind VOTE are looked at, the first RELATED_MAX of the
 * array at most. */
#define RELATED_MAX 64
#define CLIQUE_STEPS                                                                               \
	(1 << 16) /* votes the search looks at, see quorum_judge(): less than a millisecond */
struct relation {
	uint64_t agrees[RELATED_MAX];
};

struct rule {
	int quorum;      /* 1 … 15: independent results that must agree */
	int max_results; /* votes and attempts, after which a task without agreement has failed */
	int max_expired; /* workers that let the task's lease run out, after which it has failed */
	enum independence by;
	bool same_class; /* votes of different platform classes never agree */
};

#define QUORUM_MAX 15
#define VOTES_MAX 160 /* of one task: 64 results and what expired */

enum verdict_what {
	NEED_MORE,
	AGREED_VALID,  /* the quorum agrees on exit 0 */
	AGREED_FAILED, /* the quorum agrees on another end */
	NO_AGREEMENT,  /* max_results reached */
	NO_RESULT,     /* max_expired reached */
};

struct verdict {
	enum verdict_what what;
	struct digest outcome;       /* when agreed */
	int64_t counted[QUORUM_MAX]; /* refs of the votes that make the quorum, when agreed */
	int n_counted;
};

/* Judge `votes` (borrowed; in the order they came). Without `relation` (NULL) equal outcomes agree. With it a quorum is a set
 * of rule->quorum votes each of which agrees with, and is independent of, each other; of several the first in
 * lexicographic order of arrival wins, and its first vote is what the task's outcome is. The search (depth first,
 * candidates as bit sets, as in Carraghan and Pardalos 1990) gives up after CLIQUE_STEPS votes looked at: what is that
 * tangled has no quorum. Up to quorum:3 it never comes to that (64^3/6 triples). */
struct verdict quorum_judge(const struct vote *votes, size_t n, const struct rule *rule,
	const struct relation *relation);

#endif
