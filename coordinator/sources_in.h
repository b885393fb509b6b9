/* SPDX-License-Identifier: Apache-2.0
 *
 * sources_in.h: what sources.c (who waits) and resolve.c (what they are given) share. Nobody else includes it.
 */
#ifndef COORDINATOR_SOURCES_IN_H
#define COORDINATOR_SOURCES_IN_H

#include "coordinator/found.h"
#include "coordinator/sources.h"

#define SHORT_ID 12 /* digits of a job's id in a sentence */

/* Of one job. While it is resolved, `file` and `index` say which output comes next. */
struct supply {
	struct inputs inputs;
	struct blob blob; /* the resolution's text, when `resolved` */
	bool resolved;
	size_t file;
	int64_t index;
};

struct sources {
	struct supply **at; /* by the scheduler's number; NULL: that job waits for none */
	size_t room;
	bool stirred, again; /* a walk goes on; and another is due after it */
	uint32_t next;       /* of the walk */
	int64_t envelope; /* the result envelope that was opened last, since outputs often come from one; 0: none */
	struct results last;
	struct found *found; /* NULL until something was looked up */
	int64_t opened;      /* envelopes; for tests */
};

/* Of a job; NULL: it waits for none, and never did. */
struct supply *supply_of(const struct coord *c, uint32_t at);
/* How many tasks a job has; 0: it is not known here. */
int64_t source_count(struct coord *c, const struct digest *job);

/* A bounded number of outputs a turn. 1: all is found, 0: more is to be done, -1: it never will be, and `e` is a
 * sentence. Files from other jobs, which are then kept for ever; and what each task has on its standard input. */
int resolve_files(struct coord *c, uint32_t at, struct err *e);
int resolve_each(struct coord *c, uint32_t at, struct err *e);
/* What was resolved before a restart. */
void resolve_recall(struct coord *c, uint32_t at);

#endif
