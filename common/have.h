/* SPDX-License-Identifier: Apache-2.0
 *
 * have.h: which pieces of a blob somebody has, and what nodes tell each other about it.
 *
 * A have-map has a bit a piece: bit 0 is the highest bit of byte 0 and piece 0 (BEP 3); spare bits are zero.
 * It travels in `POST /v1/swarm`, whose body and answer are read and written here. They are not signed: what
 * they claim proves itself by bytes, or not.
 */
#ifndef COMMON_HAVE_H
#define COMMON_HAVE_H

#include "common/digest.h"
#include "common/id.h"

#define HAVE_PIECES_MAX 2048 /* of a blob: piece_bytes() sees to it */
#define HAVE_BYTES_MAX (HAVE_PIECES_MAX / 8)

static inline size_t have_bytes(size_t pieces)
{
	return (pieces + 7) / 8;
}

static inline bool have_get(const unsigned char *map, size_t piece)
{
	return map[piece / 8] >> (7 - piece % 8) & 1;
}

static inline void have_set(unsigned char *map, size_t piece)
{
	map[piece / 8] |= (unsigned char)(0x80 >> piece % 8);
}

static inline void have_clear(unsigned char *map, size_t piece)
{
	map[piece / 8] &= (unsigned char)~(0x80 >> piece % 8);
}

void have_fill(unsigned char *map, size_t pieces); /* all of them */
size_t have_count(const unsigned char *map, size_t pieces);
/* Whether n_bytes of map can be a map of so many pieces. */
bool have_fits(const unsigned char *map, size_t n_bytes, size_t pieces);

/* --- POST /v1/swarm ----------------------------------------------------------------------- */
#define SWARM_TEXT_MAX ((size_t)(64 * KIB)) /* of body and answer */
#define SWARM_OFFER_MAX 8
#define SWARM_WANT_MAX 8
#define SWARM_PEERS_MAX 32
#define SWARM_WAIT_MAX_MS 30000
#define PIECE_POST_MAX MIB /* larger pieces are not brought, only fetched */

struct swarm_ask {
	struct id grid, node;
	bool has_address;
	struct endpoint address; /* where the asker itself can be reached */
	struct digest digest;
	unsigned char have[HAVE_BYTES_MAX];
	size_t n_have; /* bytes */
	int64_t known; /* how many pieces of the answerer's the asker knows of: another number is news */
	uint16_t want[SWARM_WANT_MAX]; /* nobody the asker reaches has had these for a while */
	size_t n_want;
	int64_t wait_ms;
};

struct swarm_answer {
	bool has; /* false: nothing of the blob is there */
	unsigned char have[HAVE_BYTES_MAX];
	size_t n_have;
	struct link peers[SWARM_PEERS_MAX];
	size_t n_peers;
	uint16_t offer[SWARM_OFFER_MAX]; /* from a first seed: take these from it */
	bool seeds;                      /* it is one: take nothing else from it */
	size_t n_offer;
	uint16_t want[SWARM_WANT_MAX]; /* from who asks: bring these, by `POST /v1/pieces` */
	size_t n_want;
	int64_t next_ms; /* ask again no sooner */
};

/* Which piece `POST /v1/pieces/DIGEST?piece=N&node=ID` brings; its bytes are the body. */
struct piece_post {
	struct digest digest;
	size_t piece;
	struct id node;
};
/* NULL: it is not there. The number is not checked against the blob. */
int piece_post_read(struct piece_post *p, const char *digest, const char *piece, const char *node,
	struct err *e);

/* Strict JSON of at most SWARM_TEXT_MAX bytes; piece numbers are not checked against the blob. */
int swarm_ask_read(struct swarm_ask *a, const char *text, size_t n, struct err *e);
int swarm_answer_read(struct swarm_answer *a, const char *text, size_t n, struct err *e);
char *swarm_ask_text(const struct swarm_ask *a) MUST_USE;
char *swarm_answer_text(const struct swarm_answer *a) MUST_USE;

#endif
