/* SPDX-License-Identifier: Apache-2.0
 *
 * feed.h: what a task is given of other jobs, as files: one output as it stands in the cache, several as one file.
 */
#ifndef WORKER_FEED_H
#define WORKER_FEED_H

#include "jobs/job_inputs.h"

/* Where /in/NAME of job->files[file] lies: a blob's path, or DIR/in/NAME when it is made of several parts. Yours. */
char *feed_path(const struct inputs *in, const struct job *job, size_t file,
	const struct blobs *blobs, const char *dir) MUST_USE;
/* Make below DIR/in what is made of several parts. All parts are in `blobs`. */
int feed_make(const struct inputs *in, const struct job *job, struct blobs *blobs, const char *dir,
	struct err *e);

#endif
