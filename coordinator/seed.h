/* SPDX-License-Identifier: Apache-2.0
 *
 * seed.h: the coordinator as a blob's first seed and last resort: which pieces to offer to whom, and when.
 *
 * Super-seeding (J. Hoffman, BEP 16): each piece is offered to one node, once; the others have it from that
 * node. A few offers are open at a time, so that pieces leave one after the other and spread while the next
 * ones leave. A piece is offered again when its taker did not take it in time, or, at most once in
 * SEED_AGAIN_MS, when somebody says that nobody it can reach has it. Only values: `now_ms` is handed in.
 *
 * What nodes claim to have is not signed. A lie closes an offer early, and makes its victims wait for SEED_AGAIN_MS
 * at most.
 */
#ifndef COORDINATOR_SEED_H
#define COORDINATOR_SEED_H

#include "common/have.h"

#define SEED_BLOBS_MAX                                                                             \
	64 /* that are counted; the one asked for longest ago is forgotten: 22 KiB each */
#define SEED_OPEN_MAX 64    /* offers of a blob that are open at once … */
#define SEED_OPEN_START 8   /* … at first; more when they are taken fast, fewer when slowly */
#define SEED_TAKE_MS 15000  /* to take an offered piece */
#define SEED_AGAIN_MS 10000 /* between two offers of a piece that was taken */

struct seeding;

struct seeding *seeding_new(void);
void seeding_free(struct seeding *s);

/* Somebody tells what it has. */
void seed_heard(struct seeding *s, const struct swarm_ask *ask, size_t n_pieces, int64_t now_ms);
/* What to offer it now: up to SWARM_OFFER_MAX pieces. alone: there is no peer to name, so all it lacks must
 * come from here. */
size_t seed_offer(struct seeding *s, const struct swarm_ask *ask, size_t n_pieces, bool alone,
	int64_t now_ms, uint16_t out[SWARM_OFFER_MAX]);

#endif
