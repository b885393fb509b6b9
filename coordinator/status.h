/* SPDX-License-Identifier: Apache-2.0
 *
 * status.h: what is shown, as JSON. `hide`: as everybody may see it, where results that are in but
 * not believed look like running ones.
 */
#ifndef COORDINATOR_STATUS_H
#define COORDINATOR_STATUS_H

#include "coordinator/coord.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

json_t *job_json(struct coord *c, const struct job_row *row, bool hide) MUST_USE;
json_t *worker_json(struct coord *c, const struct worker *w, bool hide) MUST_USE;
json_t *status_json(struct coord *c) MUST_USE;

/* Each leaves its reply. `limit` and `after` are the query's texts, NULL when absent. */
void show_jobs(struct call *call, const char *limit, const char *after, bool hide);
void show_job(struct call *call, const char *id, bool hide);
void show_workers(struct call *call, const char *limit, const char *after, bool hide);
void show_worker(struct call *call, const char *id);
void show_manifest(struct call *call, const char *id);
void show_verdicts(struct call *call, const char *id, const char *limit, const char *after);
void show_attestations(struct call *call, const char *id, const char *limit, const char *after);
void show_blob(struct call *call, const char *digest); /* these three: blobs.c */
void show_layer(struct call *call, const char *digest, const char *piece);
void show_seeds(struct call *call, const char *digest);

#endif
