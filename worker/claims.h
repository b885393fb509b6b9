/* SPDX-License-Identifier: Apache-2.0
 *
 * claims.h: checkpoints on their way to the coordinator: uploaded, then named in the next ask.
 */
#ifndef WORKER_CLAIMS_H
#define WORKER_CLAIMS_H

#include "common/blob.h"
#include "common/fetch.h"
#include "common/key.h"
#include "jobs/job.h"
#include "worker/agent.h"
#include "worker/home.h"

#define CLAIMS_MAX 16 /* what an ask can list */
#define CLAIM_BYTES_MAX JOB_CHECKPOINT_BYTES_MAX /* a larger checkpoint stays on its worker: it is hashed on the loop */

struct claims;
struct sending;

/* All is borrowed and outlives the claims; `store` keeps the bytes while they are sent. `news`: there is something to say. */
struct claims *claims_new(struct loop *l, struct fetcher *f, struct home *h, const struct key *k, struct blobs *store,
	void (*news)(void *arg), void *arg);
void claims_free(struct claims *c);

/* Send the file for the task of this lease. done(arg, whether it will be told) is called once, later, from the loop; NULL:
 * it cannot be sent, and done is not called. */
struct sending *claims_send(
	struct claims *c, const char *lease, const char *path, void (*done)(void *arg, bool told), void *arg);
/* Let go; done is not called. NULL is allowed. */
void sending_cancel(struct sending *s);

/* For the next ask: [{"lease","blob"}], or NULL: nothing. Yours. And: that ask was answered. */
json_t *claims_json(struct claims *c) MUST_USE;
void claims_heard(struct claims *c);

#endif
