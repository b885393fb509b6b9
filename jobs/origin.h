/* SPDX-License-Identifier: Apache-2.0
 *
 * origin.h: whether what a job's tasks were given are the verified outputs of the jobs it names: their results
 * folders are at hand, and each is verified as the job's own.
 */
#ifndef JOBS_ORIGIN_H
#define JOBS_ORIGIN_H

#include "common/conf.h"
#include "jobs/job_inputs.h"
#include "jobs/verify.h"

#define ORIGIN_DIRS_MAX (JOB_WAITS_MAX)

struct origin {
	struct verify *v; /* of the dependent job; borrowed */
	struct verify *sources;
	size_t n;
	struct inputs
		inputs; /* recomputed from the sources, when `complete`; else what sources.ndjson says */
	bool complete; /* every job that outputs are taken from is here */
};

/* Verify each folder, and the inputs of `v` (which verified) against them; faults are told through `v`. Release in any
 * case. */
void origin_check(struct origin *o, struct verify *v, const struct texts *dirs);
void origin_release(struct origin *o);
/* Jobs that outputs are taken from and whose folder is not here, as hex ids. */
json_t *origin_unchecked(const struct origin *o) MUST_USE;
/* The output that task `index` has on its standard input (of a job with `each`); -1: its source is not here. */
int origin_stdin(const struct origin *o, int64_t index, struct blob *b, struct err *e);
/* A file of the sources with these bytes: yours; NULL: none. */
char *origin_find(const struct origin *o, const struct digest *d);

#endif
