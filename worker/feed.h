/* SPDX-License-Identifier: Apache-2.0
 *
 * feed.h: what a job's tasks are given of other jobs, as files. It is the same for all of them, so it is fetched and made
 * once, and kept while a task of the job holds it.
 *
 *	resolution (a blob) --> its parts (blobs, pinned) --> a file of one part: the blob itself
 *	                                                       of several: DIR/given-JOB-N/NAME
 */
#ifndef WORKER_FEED_H
#define WORKER_FEED_H

#include "jobs/job_inputs.h"
#include "worker/cache.h"

struct feeds;
struct feed_ref;

/* `dir` exists, and is borrowed as the cache is. */
struct feeds *feeds_new(struct loop *l, struct cache *c, const char *dir);
void feeds_free(struct feeds *all); /* nobody holds a reference any more */

/* e NULL: all is here. Called once, from the loop, never from within feed_want(); not at all where feed_ready() said so
 * right after it. */
typedef void feed_fn(void *arg, const struct err *e);
/* `job` stays while the reference is held; `resolution` is as the lease names it. */
struct feed_ref *feed_want(struct feeds *all, const struct job *job, const struct blob *resolution,
	feed_fn *fn, void *arg);
bool feed_ready(const struct feed_ref *r);
void feed_leave(struct feed_ref *r); /* fn is not called any more; NULL is fine */

/* When ready: the parts, and where /in/NAME of job->files[file] lies (yours). */
const struct inputs *feed_inputs(const struct feed_ref *r);
char *feed_path(const struct feed_ref *r, const struct job *job, size_t file) MUST_USE;

#endif
