/* SPDX-License-Identifier: Apache-2.0
 *
 * msg.h: the messages of docs/protocol.md: one table of types with their sizes and shapes, and
 * one way in and out.
 *
 * msg_open() checks in this order: length, form, shape, grid, signature. Only what it returns may be
 * looked at for meaning; the author is the key that signed.
 */
#ifndef COMMON_MSG_H
#define COMMON_MSG_H

#include "common/seal.h"
#include "common/shape.h"

#define MSG_LINE_MAX (1024 * 1024)

enum msg_type {
	MSG_GRID,
	MSG_JOB,
	MSG_CANCEL,
	MSG_TICKET,
	MSG_ASK,
	MSG_LEASE,
	MSG_RESULT,
	MSG_ACK,
	MSG_VERDICT,
	MSG_QUERY,
	MSG_ANSWER,
	MSG_PEER,
	MSG_ANNOUNCE,
	N_MSG_TYPES
};

/* A blob descriptor as it stands in messages: {"digest","size","pieces_root"}. */
extern const struct shape shape_blob[];

struct epoch {
	int64_t counter;
	char id[33];
};

struct msg {
	enum msg_type type;
	struct id grid, author;
	int64_t time_ms;
	int64_t seq;           /* where the author numbers them: requests, peer, announce; else 0 */
	struct epoch epoch;    /* the coordinator's messages; else counter 0 */
	json_t *body;          /* the payload (of a result: the predicate); owned */
	json_t *statement;     /* of a result: the whole statement; else NULL; owned */
	struct sealed sealed;  /* its payload bytes, digest of the line */
	char *line;            /* the exact line, owned */
	size_t line_len;
};

/* `grid` NULL: any (the message is where the grid is learned). Release on success only. */
int msg_open(struct msg *m, const char *line, size_t n, const struct id *grid, struct err *e);
/* The same, but a type that this version does not know is no error: its header was checked, nothing
 * else of it, and `type` is N_MSG_TYPES. For carrying on what others understand. */
int msg_open_any(struct msg *m, const char *line, size_t n, const struct id *grid, struct err *e);
void msg_release(struct msg *m);

/* A new payload with its header; add the type's own fields, then msg_seal(). */
json_t *msg_new(enum msg_type type, const struct id *grid, const struct id *author, int64_t now_ms)
	MUST_USE;
json_t *msg_new_request(enum msg_type type, const struct id *grid, const struct id *author,
	int64_t now_ms, int64_t seq) MUST_USE;
json_t *msg_new_epoch(enum msg_type type, const struct id *grid, const struct id *author,
	int64_t now_ms, const struct epoch *epoch) MUST_USE;
/* Check against the type's shape, sign, and give the line (yours). Steals `payload`. For a result,
 * `payload` is the predicate and `subject` (stolen too) becomes the statement's; else NULL.
 * A payload that breaks its own shape is -1 with the field named: caller's input, not a bug. */
int msg_seal(char **line, json_t *payload, json_t *subject, const struct key *k, struct err *e);

const char *msg_type_name(enum msg_type type);

#endif
