/* SPDX-License-Identifier: Apache-2.0
 *
 * news.h: the facts that a node knows and passes on: jobs, cancellations, the grid's descriptor, and signed things of
 * later versions. Values and `now` in, verdicts out: no clock, socket, log or chance.
 *
 * A fact is an envelope that somebody signed. It is announced by an *origin*: a node that heard of it first (the
 * coordinator, or a worker that took it from its submitter). The origin signs a *note* `{seq, of, over, expires}`: its
 * own number, the digest of the envelope's line, and how long it counts. Number and fact are bound by that
 * signature, so nobody can put another's number on something else and so hide what really has it.
 *
 * Two nodes compare what they have by a hash of the whole, and only when it differs by a summary: per origin, the
 * numbers held, as ranges (anti-entropy: Demers et al. 1987; reconciliation by per-origin numbers after van
 * Renesse et al. 2008, "Scuttlebutt"). Sets and not only the highest number, because who passes notes on may leave some
 * out. An `over` note ends an earlier one of its origin; the coordinator's ends everybody's.
 *
 * What the coordinator announces comes first: it has its own, larger room, and strangers' announcements cannot
 * take it. Memory is at most NEWS_BYTES_MAX, whatever is sent.
 */
#ifndef COMMON_NEWS_H
#define COMMON_NEWS_H

#include "common/heard.h"

#define NEWS_ORIGINS_MAX 32        /* that have live facts here */
#define NEWS_NOTES_MAX 256         /* of all origins: a few messages' worth */
#define NEWS_STRANGER_NOTES_MAX 96 /* of them, of all that are no coordinator */
#define NEWS_STRANGER_NOTES 32     /* and of one of these; the lowest number goes first */
#define NEWS_SUBMITTER_JOBS 16     /* of one submitter that no coordinator has announced */
#define NEWS_OFFICIAL_BYTES ((size_t)4 * 1024 * 1024) /* of facts that a coordinator announced */
#define NEWS_STRANGER_BYTES ((size_t)1024 * 1024)     /* of all others */
#define NEWS_ORIGIN_BYTES                                                                          \
	((size_t)192 * 1024) /* and of one origin's: two of the largest manifests */
#define NEWS_NOTE_LINE_MAX ((size_t)2048)
#define NEWS_OFFICIAL_MS                                                                           \
	((int64_t)7 * 24 * 3600 * 1000) /* a note of the coordinator lasts at most so long */
#define NEWS_STRANGER_MS ((int64_t)24 * 3600 * 1000) /* and anybody else's so long */
#define NEWS_SKEW_MS ((int64_t)3600 * 1000)          /* clocks may differ by this */
/* 5 MiB of facts, half a MiB of notes, the descriptor, and the rest for the tables and the allocator. */
#define NEWS_BYTES_MAX ((size_t)8 * 1024 * 1024)

#define SUMMARY_RANGES_MAX 256 /* as many as notes */
struct seq_range {
	int64_t from, to;
};
struct summary {
	int64_t serial; /* of the descriptor; 0: none */
	size_t n_origins, n_ranges;
	struct {
		struct id id;
		size_t first, n; /* its ranges, ascending */
	} origins[NEWS_ORIGINS_MAX];
	struct seq_range ranges[SUMMARY_RANGES_MAX];
};

struct news_fns {
	heard_fn *open;
	void *open_arg;
	/* Whether this key may speak for the grid now. */
	bool (*coordinator)(void *arg, const struct id *key);
	bool (*admin)(void *arg, const struct id *key);
	/* A fact was taken (`official`: a coordinator announces it, perhaps only now). From within news_take…(). */
	void (*fresh)(void *arg, const struct heard *h, const char *line, size_t n, bool official);
	void *arg;
};

enum news_verdict {
	NEWS_NEW,
	NEWS_KNOWN,
	NEWS_NO,     /* not wanted here: over, expired, or its room is full. Nobody's fault */
	NEWS_BAD,    /* nobody honest passes this on */
	NEWS_FORGED, /* a signature does not hold */
};

struct news_item {
	const char *note, *fact; /* fact NULL: an over note, or the other side has it */
	size_t note_len, fact_len;
};

struct news;
struct news *news_new(const struct news_fns *fns, const struct id *self);
void news_free(struct news *w);

/* One item from anybody. The texts are copied when kept. */
enum news_verdict news_take(
	struct news *w, const struct news_item *item, int64_t now_ms, struct err *e);
/* A descriptor from anybody: kept when its serial is higher. */
enum news_verdict news_take_grid(struct news *w, const char *line, size_t n, struct err *e);
/* Drop what has expired. */
void news_age(struct news *w, int64_t now_ms);

/* What is to be signed as our own next note. */
int64_t news_next_seq(const struct news *w, int64_t now_ms);
/* Whether a live note of `origin` announces this line. */
bool news_announced(const struct news *w, const struct id *origin, const struct digest *line);

/* The hash of the summary; equal hashes, equal knowledge. */
uint64_t news_hash(struct news *w);
void news_summary(const struct news *w, struct summary *out);
/* Grows with each thing taken: what came after tick T is new to who knew all at T. */
uint64_t news_tick(const struct news *w);
/* What came after `since` and is not in `theirs` (NULL: not known), oldest first; borrowed until the next change. At
 * most `max` and about max_bytes, but always one. *more: some are left. */
size_t news_missing(const struct news *w, const struct summary *theirs, uint64_t since,
	struct news_item *out, size_t max, size_t max_bytes, bool *more);
/* Whether `theirs` has a note or a descriptor that is not here. */
bool news_lacks(const struct news *w, const struct summary *theirs);

/* The descriptor's line, or a job's envelope by its id; borrowed; NULL when it is not here. */
const char *news_grid(const struct news *w, size_t *n, int64_t *serial);
const char *news_job(const struct news *w, const struct digest *job, size_t *n);
/* Each fact with its note (of a coordinator, if one has announced it). */
void news_each(const struct news *w,
	void (*fn)(void *arg, enum heard_kind kind, const struct digest *job,
		const struct news_item *item, bool official),
	void *arg);

struct news_counts {
	size_t origins, notes, facts, jobs;
	size_t bytes; /* in memory, tables included */
};
struct news_counts news_count(const struct news *w);

#endif
