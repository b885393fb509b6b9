/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.h: the peer port: programs and inputs by digest, and the grid's descriptor, to whoever asks.
 *
 * Outputs are in another store (outbox.h) and never served: what a task gave is the coordinator's to show.
 */
#ifndef WORKER_SERVE_H
#define WORKER_SERVE_H

#include "worker/gossip.h"
#include "worker/home.h"
#include "common/blob.h"
#include "common/httpd.h"
#include "common/key.h"

struct serve;

/* All but `listen` is borrowed and outlives the server. */
int serve_new(struct serve **out, struct loop *l, const struct key *k, const struct endpoint *listen,
	struct blobs *blobs, const struct home *h, struct err *e);
uint16_t serve_port(const struct serve *s);
/* Answer POST /v1/gossip by this from now on. */
void serve_gossip(struct serve *s, struct gossip *g);
void serve_free(struct serve *s);

#endif
