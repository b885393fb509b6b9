/* SPDX-License-Identifier: Apache-2.0
 *
 * news_in.h: what news.c and news_compare.c share.
 */
#ifndef COMMON_NEWS_IN_H
#define COMMON_NEWS_IN_H

#include "common/news.h"

#define FACTS_MAX NEWS_NOTES_MAX

struct fact {
	struct digest line;
	enum heard_kind kind;
	struct id author;
	struct digest job;
	struct id origin; /* who is charged for it while it is not official */
	char *text;
	size_t len;
	bool official;
	size_t notes; /* that announce it */
};

struct note {
	int64_t seq, expires_ms;
	struct digest line, of;
	bool over;
	struct fact *fact; /* NULL when over */
	char *text;
	size_t len;
	uint64_t tick;
};

struct origin {
	struct id id;
	bool official;
	struct note *notes;
	size_t n, room;
	uint64_t tick; /* of its newest note */
};

struct news {
	struct news_fns fns;
	struct id self;
	struct origin origins[NEWS_ORIGINS_MAX]; /* ascending by id */
	size_t n_origins, n_notes;
	struct fact *facts[FACTS_MAX];
	size_t n_facts;
	char *grid;
	size_t grid_len;
	int64_t serial;
	uint64_t tick, hash;
	bool hashed;
};

/* NULL: not known. */
struct origin *news_origin(const struct news *w, const struct id *id);
const struct fact *news_job_fact(const struct news *w, const struct digest *job);

#endif
