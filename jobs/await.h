/* SPDX-License-Identifier: Apache-2.0
 *
 * await.h: wait for a job, and say in a sentence how it stands.
 */
#ifndef JOBS_AWAIT_H
#define JOBS_AWAIT_H

#include "jobs/client.h"

/* Poll until the job is over, showing progress. The JOB as last seen is yours, also with an error.
 * ERR_CANCELLED: Ctrl-C (after client_on_interrupt()). An unreachable grid is borne for a while. */
int await_job(struct client *c, const char *id, json_t **job, struct err *e);
/* Say that the job goes on although nobody waits any more. */
void await_left(const char *id);
/* When tasks failed: say how many, and how to learn why. */
void await_failed(const char *id, const json_t *job);
/* 0 when every task is valid, else 1. */
int await_exit(const json_t *job);

/* How many tasks are in a state. */
int64_t job_in_state(const json_t *job, const char *state);
/* "18 valid, 2 failed": every state that has tasks. Yours. */
char *job_counts(const json_t *job) MUST_USE;

#endif
