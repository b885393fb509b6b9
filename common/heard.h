/* SPDX-License-Identifier: Apache-2.0
 *
 * heard.h: what gossip needs to know of an envelope: the facts that nodes pass on, opened and verified.
 *
 * The functions that decide (news.h, the worker's peers.h) call a heard_fn through a pointer; this one checks
 * everything, and a simulator may put a cheap one in its place.
 */
#ifndef COMMON_HEARD_H
#define COMMON_HEARD_H

#include "common/grid.h"

#define PEER_ADDRESSES_MAX 4

enum heard_kind { HEARD_NOTE, HEARD_PEER, HEARD_JOB, HEARD_CANCEL, HEARD_GRID, HEARD_OTHER };

struct heard {
	enum heard_kind kind;
	struct id author;
	struct digest line;
	int64_t seq;                            /* NOTE, PEER: the author's number */
	int64_t expires_ms;                     /* NOTE, PEER */
	int64_t serial;                         /* GRID */
	struct digest of;                       /* NOTE: the line it announces */
	bool over;                              /* NOTE: `of` is at its end */
	struct digest job;                      /* JOB: its id; CANCEL: the one it names */
	struct endpoint at[PEER_ADDRESSES_MAX]; /* PEER: those that are HOST:PORT with a port */
	size_t n_at;
	bool relay; /* PEER */
};

/* Open a line of at most HEARD_LINE_MAX bytes and check its signature. 0; or -1: ERR_SIGNATURE when it does not hold,
 * another code when it never could. */
typedef int heard_fn(void *arg, struct heard *out, const char *line, size_t n, struct err *e);
#define HEARD_LINE_MAX ((size_t)96 * 1024)

struct heard_by {
	struct id grid_id;
	const struct grid
		*grid; /* NULL: not known yet; then only `grid`, `peer` and what is announced */
};
/* The real one; `arg` is a struct heard_by. An unknown type is taken from a key that the descriptor names. */
int heard_open(void *arg, struct heard *out, const char *line, size_t n, struct err *e);

/* A note on the fact `of`, a line's digest, signed by `key`: number `seq`, made at now_ms, counting until expires_ms;
 * `over`: the fact is at its end. 0 and *out is yours, or -1. */
int note_seal(char **out, const struct id *grid, const struct key *key, const struct digest *of, bool over,
	int64_t seq, int64_t now_ms, int64_t expires_ms, struct err *e);

#endif
