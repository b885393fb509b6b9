/* SPDX-License-Identifier: Apache-2.0
 *
 * ref.h: JOB/INDEX/FILE: an output of a job's task, as it lies in that job's results folder.
 *
 * JOB is an id or 8 or more digits of one; INDEX a number, or `*` for every task; FILE `stdout` or `files/NAME`.
 */
#ifndef JOBS_REF_H
#define JOBS_REF_H

#include "jobs/job.h"

struct job_ref {
	char job[DIGEST_HEX + 1]; /* or a prefix */
	int64_t index;            /* -1: every task */
	char file[541];
};

/* Who knows the grid's jobs: the whole id of one, and how many tasks it has (count NULL: not asked for). */
struct job_finder {
	int (*find)(void *arg, const char *prefix, char id[DIGEST_HEX + 1], int64_t *count,
		struct err *e);
	void *arg;
};

/* 1: `text` is one. 0: it is a path. -1: it could be either, or is no good as either (ERR_USAGE). */
int ref_parse(struct job_ref *r, const char *text, struct err *e);
/* As the manifest's `from`, or `each` (with the job's number of tasks in *count). NULL with `e`. */
json_t *ref_from(const struct job_ref *r, const struct job_finder *f, struct err *e) MUST_USE;
json_t *ref_each(const struct job_ref *r, const struct job_finder *f, int64_t *count,
	struct err *e) MUST_USE;

#endif
