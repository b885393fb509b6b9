/* SPDX-License-Identifier: Apache-2.0
 *
 * say.h: what two nodes say to each other in one exchange of gossip, and its spelling as JSON (docs/protocol.md,
 * "gossip"). The question and the answer have one form.
 */
#ifndef COMMON_SAY_H
#define COMMON_SAY_H

#include "common/news.h"

#define SAY_MAX ((size_t)64 * 1024)       /* of a message; one fact alone may be larger */
#define SAY_BODY_MAX ((size_t)112 * 1024) /* the largest manifest, its note, and the rest */
#define SAY_PEERS_MAX 8
#define SAY_ITEMS_MAX 64
#define SAY_ITEMS_BYTES                                                                            \
	((size_t)48 * 1024) /* of facts and notes; the summary and peers have the rest */
#define SAY_HINT_BYTES                                                                             \
	((size_t)8 * 1024) /* more is not sent unasked: only that there is something */
#define SAY_WAIT_MAX_MS 60000
#define SAY_HELD_MAX 4000 /* characters of one origin's ranges */
#define SAY_KNOWN_MAX 64  /* records that a question says it needs not be told */
#define SAY_SEEK_MAX 8    /* blobs */
#define SAY_HAVE_MAX 16

/* A peer record told apart from others: the first 6 bytes of the SHA-256 of its line. */
#define MARK_BYTES 6
struct mark {
	unsigned char b[MARK_BYTES];
};

struct said {
	char *line;
	size_t len;
};

/* A node that has so many pieces of a blob, or is about to. */
struct said_have {
	struct digest digest;
	int64_t pieces;
	bool self;      /* of an answer: who answers */
	struct link at; /* unless self */
};

struct say {
	struct id grid; /* of a question, unless it is brief; in an answer all zero */
	struct id
		node; /* of a question that wants peers (not to be told of itself) or tells what it announced; else zero */
	uint64_t hash;
	struct summary *summary; /* NULL: not said */
	struct said peers[SAY_PEERS_MAX];
	size_t n_peers;
	struct {
		struct said note, fact; /* fact.line NULL: none */
	} items[SAY_ITEMS_MAX];
	size_t n_items;
	struct said descriptor; /* line NULL: not said */
	struct mark *known;     /* of a question: records that its sender has; owned */
	size_t n_known;
	struct digest seek[SAY_SEEK_MAX]; /* of a question: blobs that its sender looks for */
	size_t n_seek;
	struct said_have *have; /* owned */
	size_t n_have;
	int64_t wait_ms; /* the answer may be held so long */
	int want;        /* peers that the other side may name */
	int held;        /* of an answer: how many questions its sender holds */
	bool more;       /* there was no room for all */
	bool alone;      /* of a question: its sender has hardly any neighbours */
	bool brief;      /* of an answer: further questions need not name the grid */
};

void say_release(struct say *s); /* what it points at; then it is empty */
void say_add_peer(struct say *s, const char *line, size_t n);
struct mark mark_of(const char *line, size_t n);
/* Beyond SAY_KNOWN_MAX nothing is added. */
void say_add_known(struct say *s, const struct mark *m);
bool say_knows(const struct say *s, const struct mark *m);
void say_add_item(struct say *s, const struct news_item *item);
/* Beyond SAY_SEEK_MAX and SAY_HAVE_MAX nothing is added. */
void say_add_seek(struct say *s, const struct digest *d);
void say_add_have(struct say *s, const struct said_have *have);
/* JSON in one line; yours. */
char *say_write(const struct say *s) MUST_USE;
/* Length, form and shape; no signature yet. A brief question has an all zero grid. Release on success only. */
int say_read(struct say *s, const char *text, size_t n, struct err *e);
/* Whether the question belongs to this grid: it names it, or names none. */
bool say_is_of(const struct say *s, const struct id *grid);

/* --- what is said, from what is known --------------------------------------------------------- */
void say_begin(struct say *s, struct news *w); /* empty, but for the hash */
size_t say_bytes(const struct say *s);         /* of the lines in it */
void say_add_summary(struct say *s, const struct news *w);
/* As news_missing(), as much as a message holds. */
void say_add_missing(
	struct say *s, const struct news *w, const struct summary *theirs, uint64_t since);
/* The descriptor, when `theirs` (NULL: not known) has an older one and there is room. */
void say_add_descriptor(struct say *s, const struct news *w, const struct summary *theirs);
/* The answer to question `q`, whose own facts were taken before. False: nothing is to be said now, and it may be held. */
bool say_answer(struct say *s, struct news *w, const struct say *q);
/* What somebody who knew all at tick `since` must hear now; false: nothing. */
bool say_hint(struct say *s, struct news *w, uint64_t since);

/* "3-9,12": ascending, apart, at most `max` ranges. False when it is not exactly that. */
bool ranges_read(struct seq_range *out, size_t max, size_t *n, const char *text);

#endif
