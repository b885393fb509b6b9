/* SPDX-License-Identifier: Apache-2.0
 *
 * upload.h: everything that a job needs, into the grid, several at a time.
 */
#ifndef JOBS_UPLOAD_H
#define JOBS_UPLOAD_H

#include "jobs/client.h"
#include "jobs/manifest.h"

/* Upload all of `up`, under tickets of c->key. The first thing that goes wrong ends it; uploads are
 * resumable, so the same again goes on from there. */
int uploads_run(const struct uploads *up, struct client *c, struct err *e);

/* Upload what the manifest needs, sign it and post it; the new job's id in `id`. */
int submit_send(const struct manifest *m, struct client *c, char id[DIGEST_HEX + 1], struct err *e);

#endif
