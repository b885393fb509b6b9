/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.h: jobs that wait for other jobs, and what they are given of these.
 *
 * A job waits while one of those it names is not over. Then, once and for ever, its files from other jobs are resolved
 * to the outputs that the verdicts stand for (jobs/job_inputs.h): the text is kept with the job, and every lease
 * names it. Where each task has another job's task for its standard input, the lease names that output. Both follow
 * from what is stored, so a restart in between changes nothing. What failed or was cancelled cancels who waits.
 */
#ifndef COORDINATOR_SOURCES_H
#define COORDINATOR_SOURCES_H

#include "coordinator/coord.h"
#include "jobs/job_inputs.h"

#define SOURCES_LOOK_STEP 64  /* waiting jobs that one turn looks at */
#define SOURCES_PARTS_STEP 16 /* outputs that one turn finds */
#define SOURCES_WHY_MAX 160

enum source_says { SOURCE_WAIT, SOURCE_READY, SOURCE_NEVER };
/* What a job that is waited for says; `all`: every task of it must be valid. NEVER: `why` is a sentence. Pure. */
enum source_says source_judge(const struct job_row *row, bool all, char why[SOURCES_WHY_MAX]);

struct sources *sources_new(void);
void sources_free(struct sources *s);
/* A job is in the scheduler at `at`, its manifest in c->manifests; and is about to leave it. */
void sources_add(struct coord *c, uint32_t at);
void sources_drop(struct coord *c, uint32_t at);
/* A job ended, or was cancelled: who waits is looked at again. */
void sources_stir(struct coord *c);
void sources_turn(struct coord *c);
/* Whether a new job's sources are known here and as many as it says. */
int sources_check(struct coord *c, const struct job *job, struct err *e);
/* In words, what the job waits for. */
void sources_waiting(struct coord *c, uint32_t at, char *out, size_t size);
/* Add to a lease message what its tasks are given; to one lease what its task is. */
void sources_tell_job(struct coord *c, uint32_t at, json_t *lease);
void sources_tell_task(struct coord *c, uint32_t at, int64_t index, json_t *one);
/* Whether a result names what its task was given. */
int sources_check_result(struct coord *c, uint32_t at, const struct result *r, struct err *e);
/* GET /v1/jobs/ID/inputs: the resolution. */
void show_inputs(struct call *call, const char *id);

#endif
