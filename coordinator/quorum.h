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

struct rule {
	int quorum;      /* 1 … 15: independent results that must agree */
	int max_results; /* votes and attempts, after which a task without agreement has failed */
	int max_expired; /* workers that let the task's lease run out, after which it has failed */
	enum independence by;
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

/* Judge `votes` (borrowed; in the order they came). */
struct verdict quorum_judge(const struct vote *votes, size_t n, const struct rule *rule);

#endif
