/* SPDX-License-Identifier: Apache-2.0
 *
 * ask_job.h: a job's evidence from the grid, opened as it comes.
 */
#ifndef JOBS_ASK_JOB_H
#define JOBS_ASK_JOB_H

#include "jobs/client.h"
#include "jobs/evidence.h"

/* The descriptor that the client has, and the job's manifest, into `ev`; the manifest's envelope in *line (yours). It is
 * the job `id`, or ERR_DIGEST. */
int ask_manifest(struct client *c, const char *id, struct evidence *ev, char **line, struct err *e);
/* Behind it: the list of tasks, where the job has one (at most JOB_LIST_MAX, in memory), and the verdicts so far. */
int ask_verdicts(struct client *c, const char *id, struct evidence *ev, struct err *e);

#endif
