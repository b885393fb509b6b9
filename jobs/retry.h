/* SPDX-License-Identifier: Apache-2.0
 *
 * retry.h: which tasks of a job are tried again, and the job that does it.
 *
 * Verdicts are final, so a retry is a job of its own: the same program, arguments and inputs, its tasks a list of those
 * that failed, `retry_of` the job whose tasks they are, and in each line `of`, that task's index there, which is also
 * what {index} means. A retry of a retry is a retry of the first job: indices always mean the same tasks.
 */
#ifndef JOBS_RETRY_H
#define JOBS_RETRY_H

#include "common/buf.h"
#include "jobs/evidence.h"

/* What may be said anew; 0: as it was. */
struct retry_options {
	bool all; /* also what failed in agreement: the program itself ended so */
	int64_t cpu_s, wall_s, memory_mib, disk_mib, output_mib, processes, threads, max_results,
		max_failures;
	int64_t priority; /* RETRY_AS_IT_WAS: as it was */
	const char *name; /* NULL: "retry of JOBID" */
};
#define RETRY_AS_IT_WAS 1000

struct retry_tally {
	int64_t undecided, cancelled,
		agreed; /* failed without agreement; cancelled; failed in agreement */
	int64_t chosen;
};

/* Count, and add a line for each task that is tried again to `list`. Grid, job, list and every verdict are in `ev`:
 * ERR_CONFLICT when the job is not over. */
int retry_list(const struct evidence *ev, bool all, struct buf *list, struct retry_tally *tally,
	struct err *e);
/* The new manifest's fields (no header, no nonce) from those of the old one; takes `list`, a blob's JSON. */
json_t *retry_fields(const struct evidence *ev, const json_t *old, json_t *list, int64_t count,
	const struct retry_options *o) MUST_USE;

#endif
