/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.h: the peer port: programs and inputs by digest, and the grid's descriptor, to whoever asks.
 *
 * Outputs are in another store (outbox.h) and never served: what a task gave is the coordinator's to show.
 */
#ifndef WORKER_SERVE_H
#define WORKER_SERVE_H

#include "worker/share.h"
#include "common/httpd.h"
#include "common/key.h"

struct serve;

/* All but `listen` is borrowed and outlives the server. upload_kib: what it sends a second (0: no blobs, -1: no limit). */
int serve_new(struct serve **out, struct loop *l, const struct key *k, const struct endpoint *listen,
	struct cache *cache, const struct home *h, int64_t upload_kib, struct err *e);
/* Serve blobs by plain HTTP too, at `listen`; in URLs the host is that of `advertise`, NULL: of `listen`. */
int serve_web(struct serve *s, struct loop *l, const struct endpoint *listen, const struct endpoint *advertise,
	struct err *e);
uint16_t serve_port(const struct serve *s);
void serve_free(struct serve *s);

#endif
