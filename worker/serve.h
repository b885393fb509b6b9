/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.h: the peer port: programs and inputs by digest, and the grid's descriptor, to whoever asks; and tunnels
 * to the coordinator (relay.h), jobs to be carried there (carry.h), and what is known of jobs (told.h).
 *
 * Outputs are in another store (outbox.h) and never served: what a task gave is the coordinator's to show.
 */
#ifndef WORKER_SERVE_H
#define WORKER_SERVE_H

#include "worker/carry.h"
#include "worker/gossip.h"
#include "worker/relay.h"
#include "worker/share.h"
#include "common/fetch.h"
#include "common/httpd.h"
#include "common/key.h"

struct serve;

/* What the port answers with; all borrowed, and it outlives the server. */
struct serve_parts {
	struct loop *loop;
	struct fetcher *fetcher; /* to call back who asks whether it can be reached */
	const struct key *key;
	struct endpoint listen;
	struct cache *cache;
	const struct home *home;
	struct relay *relay; /* NULL: no tunnels */
	int64_t upload_kib; /* a second, of blobs; 0: none, -1: no limit */
};

int serve_new(struct serve **out, const struct serve_parts *p, struct err *e);
/* Serve blobs by plain HTTP too, at `listen`; in URLs the host is that of `advertise`, NULL: of `listen`. */
int serve_web(struct serve *s, struct loop *l, const struct endpoint *listen, const struct endpoint *advertise,
	struct err *e);
/* Take submitted jobs (NULL: none), and tell of the jobs that these know; `self` is this worker's id. All borrowed. */
void serve_carry(struct serve *s, struct carry *c, const struct id *self);
void serve_tell(struct serve *s, const struct teller *t);
uint16_t serve_port(const struct serve *s);
/* Answer POST /v1/gossip by this from now on. */
void serve_gossip(struct serve *s, struct gossip *g);
void serve_free(struct serve *s);

#endif
