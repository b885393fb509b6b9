/* SPDX-License-Identifier: Apache-2.0
 *
 * line.h: THE spelling of a line of results.ndjson. `results` writes it and `verify` recomputes it and compares
 * byte for byte, so there is exactly one function that makes it.
 *
 *	{"index":0,"state":"valid","exit":0,"stdout":"sha256:…","files":{"NAME":"sha256:…"},
 *	 "workers":["…","…"],"assurance":"quorum:2","cpu_s":1.250,"wall_s":1.310,"name":…,"line":…,"params":{…}}
 *
 * In a retry `of` follows, the index of the task that was tried again. `local` stands behind `assurance` where the job
 * reads data that only the volunteer has (one worker's word). `signal` stands behind `exit` when there was
 * one, `why` ends the line of a task that is not valid. A task without an agreed outcome has neither exit nor outputs
 * nor times. Times are those of the first counted result, with three places.
 */
#ifndef JOBS_LINE_H
#define JOBS_LINE_H

#include "common/result.h"
#include "jobs/job.h"

struct line {
	int64_t index;
	const char *state, *assurance;
	const char *why;             /* "" : none */
	const struct result *result; /* the first counted; NULL: no outcome */
	const struct id *workers;    /* of the counted results, in the verdict's order */
	size_t n_workers;
	const struct job *job;
	const json_t *name, *line, *params; /* of the task; each NULL when it has none */
	const json_t *of;                   /* in a retry; else NULL */
};

/* Without a newline; yours. */
char *line_write(const struct line *l) MUST_USE;

#endif
