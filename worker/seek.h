/* SPDX-License-Identifier: Apache-2.0
 *
 * seek.h: which blobs are looked for here, when the neighbours are asked for them, and who was heard to have what.
 *
 * Values and `now` in, verdicts out. A blob is looked for from seek_want() until it is whole or nobody has wanted it for
 * SEEK_LIVE_MS; nothing is said otherwise. What is heard is a claim that costs whoever believes it one question
 * (`POST /v1/swarm`); so it is bounded (SEEK_EACH of a blob, SEEK_HEARD_MAX in all, the oldest go) and forgotten after
 * SEEK_KEPT_MS, and nothing else is done about liars here.
 */
#ifndef WORKER_SEEK_H
#define WORKER_SEEK_H

#include "common/say.h"

#define SEEK_LIVE_MS 60000
#define SEEK_AGAIN_MS 15000
#define SEEK_KEPT_MS 600000
#define SEEK_EACH 8
#define SEEK_HEARD_MAX 64

struct sought {
	struct digest digest;
	int64_t until_ms; /* 0: empty */
};

struct heard_have {
	struct digest digest;
	struct link at;
	int64_t pieces, heard_ms; /* heard_ms 0: empty */
};

/* All zero: nothing is sought, nothing was heard. */
struct seek {
	struct sought sought[SAY_SEEK_MAX];
	struct heard_have heard[SEEK_HEARD_MAX];
	int64_t asked_ms; /* when the neighbours were asked last; 0: ask now */
};

/* How many pieces of the blob are here for others, *whole when that is all of them; -1: nothing of it shall be told. */
typedef int64_t seek_count_fn(void *arg, const struct digest *d, bool *whole);

struct seek_self {
	seek_count_fn *count;
	void *arg;
	const struct link *at; /* where we can be dialled; NULL: nowhere */
};

/* Somebody here looks for it (again). True: it is new, and the neighbours are to be asked now. More than SAY_SEEK_MAX at once
 * are not looked for: false. */
bool seek_want(struct seek *k, const struct digest *d, int64_t now_ms);
bool seek_wants(const struct seek *k, const struct digest *d, int64_t now_ms);
/* What the neighbours are to be asked and told; the same goes to all of them. False: nothing. What is whole is told of once
 * and then looked for no more. */
bool seek_question(struct seek *k, struct say *out, const struct seek_self *self, int64_t now_ms);
/* In how many ms to look again; -1: not until seek_want(). */
int64_t seek_due(const struct seek *k, int64_t now_ms);
/* A claim that may be believed: the caller looked at its address. pieces 0: it has begun. */
void seek_hear(struct seek *k, const struct digest *d, int64_t pieces, const struct link *at,
	int64_t now_ms);
/* For each blob that `q` seeks: whether we have it, and whom we heard of. */
void seek_answer(const struct seek *k, const struct say *q, struct say *out,
	const struct seek_self *self, int64_t now_ms);
/* Links of those that were heard to have it, at most max; those with most pieces first. */
size_t seek_list(
	const struct seek *k, const struct digest *d, struct link *out, size_t max, int64_t now_ms);

#endif
