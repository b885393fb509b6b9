/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox.h: signed results on disk until the coordinator has acknowledged them.
 *
 *	DIR/HEX.json       the body to be posted, {"envelope":…,"blobs":{…}}; HEX is the envelope's digest
 *	DIR/blobs/…        the large outputs that go with it: a blob store of its own, so nothing evicts them
 *	DIR/refused/       what the coordinator refused for good, for the owner to look at
 *
 * outbox_put() returns when all of it would survive a power cut. It is sent again, for ever, with back-off,
 * and deleted only on a signed `ack` that names the envelope.
 */
#ifndef WORKER_OUTBOX_H
#define WORKER_OUTBOX_H

#include "worker/collect.h"
#include "worker/home.h"
#include "common/fetch.h"
#include "common/key.h"
#include "common/loop.h"

struct outbox;

struct outbox_fns {
	/* The envelope that speaks of this lease is done with: acknowledged, or refused for good. */
	void (*over)(void *arg, const char *lease);
	/* Whether a result not yet put here has this large output. */
	bool (*needed)(void *arg, const struct digest *output);
	void *arg;
};

/* Opens DIR and takes up what is there. All but `dir` and `fns` is borrowed and outlives the outbox. */
int outbox_open(struct outbox **out, const char *dir, struct loop *l, struct fetcher *f, struct home *h,
	const struct key *k, const struct outbox_fns *fns, struct err *e);
void outbox_close(struct outbox *o);
/* Where large outputs are put before outbox_put(). */
struct blobs *outbox_blobs(struct outbox *o);

/* Sign n results of one job, keep them, and begin to send. `products` are borrowed. */
int outbox_put(struct outbox *o, const struct digest *job, const char *platform_class, const char *agent,
	const struct product *const *products, size_t n, struct err *e);
size_t outbox_count(const struct outbox *o);
/* Whether an envelope here speaks of this lease. */
bool outbox_has(const struct outbox *o, const char *lease);
/* The coordinator was heard from: try now. */
void outbox_hurry(struct outbox *o);

#endif
