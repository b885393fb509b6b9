/* SPDX-License-Identifier: Apache-2.0
 *
 * share.h: what the peer port gives of blobs: bytes of whole ones and of verified pieces, and who has what.
 *
 * A few answers with bytes go out at once and a few wait for their turn; who comes when there is no
 * room is told so (429) and finds another source. `POST /v1/swarm` is held until there is news.
 */
#ifndef WORKER_SHARE_H
#define WORKER_SHARE_H

#include "worker/cache.h"
#include "common/httpd.h"

struct share;

/* The cache is borrowed. upload_kib: what the owner lets go a second; 0: nothing is served, -1: no limit. */
struct share *share_new(struct loop *l, struct cache *c, const struct home *h, int64_t upload_kib);
/* After the server that hands it requests: that lets go of those it holds. NULL is fine. */
void share_free(struct share *s);
/* Handlers; each answers, now or later. */
void share_blob(struct share *s, struct req *r);  /* GET /v1/blobs/DIGEST */
void share_swarm(struct share *s, struct req *r); /* POST /v1/swarm */
void share_piece(struct share *s, struct req *r); /* POST /v1/pieces/DIGEST?piece=N&node=ID */
/* The size of a whole blob that peers may have; -1: there is none for them. */
int64_t share_size(const struct share *s, const struct digest *d);
/* How many pieces of the blob are here for peers, *whole when all; -1: peers shall hear nothing of it. */
int64_t share_count(void *share, const struct digest *d, bool *whole);
/* GET /v1/blobs/DIGEST/layer of a blob that is not whole here. False, and nothing was answered: there is none such. */
bool share_layer(struct share *s, struct req *r, const struct digest *d, int64_t piece);

#endif
