/* SPDX-License-Identifier: Apache-2.0
 *
 * upload.h: everything that a job needs, into the grid, several at a time.
 */
#ifndef JOBS_UPLOAD_H
#define JOBS_UPLOAD_H

#include "jobs/client.h"
#include "jobs/tasks.h"

/* Upload all of `up`, under tickets of c->key. The first thing that goes wrong ends it; uploads are
 * resumable, so the same again goes on from there. */
int uploads_run(const struct uploads *up, struct client *c, struct err *e);

#endif
