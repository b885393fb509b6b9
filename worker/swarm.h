/* SPDX-License-Identifier: Apache-2.0
 *
 * swarm.h: one blob's download from many: which piece to ask from whom next.
 *
 * Only values: what is here, what each source has, what is on its way, the time, and a seed. The caller does
 * what swarm_next() says and tells what came of it.
 *
 * Pieces are chosen as BitTorrent does (B. Cohen, "Incentives Build Robustness in BitTorrent", 2003): the first
 * one at random, then the rarest among the sources known (A. Legout et al., "Rarest First and Choke Algorithms
 * Are Enough", 2006), ties by chance; when everything missing is on its way, what is slow is asked from a
 * second source too, and the later one is cancelled (end game). From a first seed only what it
 * offers is taken, and that first: it offers each piece once (super-seeding, BEP 16).
 *
 * A source that sends wrong bytes is out at once, and it is the right one, since a piece comes from one
 * source alone. One that makes less than SWARM_RATE_MIN over SWARM_WINDOW_MS is left for another.
 */
#ifndef WORKER_SWARM_H
#define WORKER_SWARM_H

#include "common/have.h"

#define SWARM_SOURCES_MAX 32
#define SWARM_FLIGHTS_MAX 64   /* pieces on their way at once */
#define SWARM_FLIGHTS_START 16 /* … at first: more when they come fast, fewer when slowly */
#define SWARM_DEPTH_MAX 4      /* pieces on their way from one source */
#define SWARM_DEPTH_START 2
#define SWARM_RATE_MIN (16 * KIB) /* bytes a second that a source must make … */
#define SWARM_WINDOW_MS 10000     /* … over this time */
#define SWARM_STRIKES_MAX 3       /* failures in a row: the source is out */
#define SWARM_LACK_MS                                                                              \
	5000 /* a piece that no source has for so long is wanted from the first seed */

struct swarm;

enum swarm_act_kind {
	SWARM_ASK,    /* ask the source for the piece */
	SWARM_CANCEL, /* it is not needed from there any more; nothing is to be told about it */
	SWARM_DROP    /* the source is out: forget it; its number will be used again */
};

struct swarm_act {
	enum swarm_act_kind kind;
	int source;
	size_t piece;
	bool wrong; /* SWARM_DROP: it sent wrong bytes; else it failed too often */
};

/* n_pieces 1 to HAVE_PIECES_MAX of piece_bytes each (the last may be shorter: size is the blob's). `have` is
 * copied. At most budget_bytes are on their way at once, but for two pieces. */
struct swarm *swarm_new(size_t n_pieces, int64_t piece_bytes, const unsigned char *have,
	int64_t budget_bytes, uint64_t seed, int64_t now_ms);
void swarm_free(struct swarm *s);

/* A source's number, or -1 when there are SWARM_SOURCES_MAX. A first seed gives only what it offers. */
int swarm_add(struct swarm *s, bool first_seed);
/* Nobody vouches for it: one piece at a time until it has sent a right one. */
void swarm_doubt(struct swarm *s, int source);
/* The caller lets go of it: what is on its way from there is forgotten. */
void swarm_remove(struct swarm *s, int source, int64_t now_ms);
/* What the source has (a map of n_pieces; NULL: nothing). */
void swarm_has(struct swarm *s, int source, const unsigned char *have, int64_t now_ms);
/* What a first seed offers; numbers that are none, or here, are ignored. */
void swarm_offered(struct swarm *s, int source, const uint16_t *pieces, size_t n);
/* How many of its offers are neither here nor given up. */
size_t swarm_offers(const struct swarm *s, int source);
/* Up to max missing pieces that no source has had for SWARM_LACK_MS and that are not on their way. */
size_t swarm_lacking(struct swarm *s, int64_t now_ms, uint16_t *out, size_t max);

/* The next thing to do; false: nothing now. */
bool swarm_next(struct swarm *s, int64_t now_ms, struct swarm_act *act);
/* In how many ms swarm_next() may have something without anything being told. */
int64_t swarm_wake(const struct swarm *s, int64_t now_ms);

/* What came of an ask. n more bytes of the piece are here. */
void swarm_moved(struct swarm *s, int source, size_t piece, size_t n);
/* All of it is here, and right or wrong. */
void swarm_arrived(struct swarm *s, int source, size_t piece, bool right, int64_t now_ms);
enum swarm_fail {
	SWARM_BUSY,    /* not now: it has no room to send */
	SWARM_MISSING, /* it does not have that piece after all */
	SWARM_BROKEN   /* unreachable, cut, or an answer that is none */
};
void swarm_failed(struct swarm *s, int source, size_t piece, enum swarm_fail why, int64_t rest_ms,
	int64_t now_ms);

const unsigned char *swarm_map(const struct swarm *s);
size_t swarm_missing(const struct swarm *s);

#endif
