/* SPDX-License-Identifier: Apache-2.0
 *
 * tabulate.h: results folders as one table (see table_out.h for what is in it).
 *
 * A row is a line of the first folder's results.ndjson. Where a retry's folder (results of a job with `retry_of`) has a
 * line for the same task, that line's state and standard output stand in it: of several the last that is valid, else
 * the last. Every standard output is held against the digest in its line before it is used.
 */
#ifndef JOBS_TABULATE_H
#define JOBS_TABULATE_H

#include "common/err.h"

#define TABULATE_RETRIES_MAX 64

struct tabulate {
	const char *dir; /* the job's results */
	const char *retries
		[TABULATE_RETRIES_MAX]; /* its retries' results, in the order of the retries */
	size_t n_retries;
	bool exact;          /* see table_out_init() */
	const char *crowded; /* out: why members were not spread, or NULL */
};

/* Write the table to `out`. Memory is bounded by the columns, and 16 bytes a task where there are retries. */
int tabulate(struct tabulate *t, FILE *out, struct err *e);

#endif
