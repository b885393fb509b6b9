/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.h: the peer port: programs and inputs by digest, and the grid's descriptor, to whoever asks; and tunnels
 * to the coordinator (relay.h), jobs to be carried there (carry.h), and what is known of jobs (told.h).
 *
 * Outputs are in another store (outbox.h) and never served: what a task gave is the coordinator's to show.
 */
#ifndef WORKER_SERVE_H
#define WORKER_SERVE_H

#include "worker/home.h"
#include "worker/carry.h"
#include "worker/relay.h"
#include "common/blob.h"
#include "common/httpd.h"
#include "common/key.h"

struct serve;

/* All but `listen` is borrowed and outlives the server. `relay` NULL: no tunnels. */
int serve_new(struct serve **out, struct loop *l, const struct key *k, const struct endpoint *listen,
	struct blobs *blobs, const struct home *h, struct relay *relay, struct err *e);
/* Take submitted jobs (NULL: none), and tell of the jobs that these know; `self` is this worker's id. All borrowed. */
void serve_carry(struct serve *s, struct carry *c, const struct id *self);
void serve_tell(struct serve *s, const struct teller *t);
uint16_t serve_port(const struct serve *s);
void serve_free(struct serve *s);

#endif
