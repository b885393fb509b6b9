/* SPDX-License-Identifier: Apache-2.0
 *
 * harvest.h: fetch a job's results with their evidence into a folder (see resdir.h).
 */
#ifndef JOBS_HARVEST_H
#define JOBS_HARVEST_H

#include "jobs/client.h"

struct harvest_tally {
	int64_t count; /* tasks of the job */
	int64_t final; /* of them fetched */
};

/* Make the folder for a job that is still to come: before anything is submitted, see that it can be made and
 * is no other job's. */
int harvest_claim(const char *dir, struct err *e);

/* Everything is opened and judged before it is written; what is there already with the right bytes is not
 * fetched again. Of an unfinished job what is final is written: 0 with tally->final < tally->count. */
int harvest(struct client *c, const char *job_id, const char *dir, struct harvest_tally *tally,
	struct err *e);

/* The same, but of the outputs only each valid task's standard output of at most TABLE_TEXT_MAX bytes, and no inputs: what
 * a table is made of. */
int harvest_for_table(struct client *c, const char *job_id, const char *dir,
	struct harvest_tally *tally, struct err *e);

#endif
