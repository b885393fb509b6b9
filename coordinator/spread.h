/* SPDX-License-Identifier: Apache-2.0
 *
 * spread.h: `POST /v1/swarm` at the coordinator: which pieces to take from here, and which workers have the blob.
 *
 * Nothing here is a fact: no transaction, no call. An ask with nothing to offer is held until there is, or its
 * time is up.
 */
#ifndef COORDINATOR_SPREAD_H
#define COORDINATOR_SPREAD_H

#include "common/httpd.h"
#include "coordinator/coord.h"

struct spread;

struct spread *spread_new(struct loop *l, struct coord *c);
void spread_free(struct spread *s); /* after the server whose requests it holds; NULL is fine */
/* The handler: answers now or later. */
void spread_post(struct spread *s, struct req *r);
/* Answer everybody who is kept waiting, so that the process may end. */
void spread_release(struct spread *s);

#endif
