/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip.h: the coordinator as a node among its workers: POST /v1/gossip.
 *
 * It answers and never calls. It announces the active jobs, says when they are over, passes on cancellations and its
 * descriptor, and names workers that have sent it their record. A job or a cancel that comes as a fact goes through
 * the same acceptance as one that is sent to it. The light one: EARS_MAX questions are held, and who sends more than
 * GOSSIP_RATE facts a second is not listened to.
 */
#ifndef COORDINATOR_GOSSIP_H
#define COORDINATOR_GOSSIP_H

#include "coordinator/coord.h"

#define EARS_MAX 64       /* questions held; others are answered at once and go to the workers */
#define ANNOUNCED_MAX 120 /* jobs announced at once: below what news.h keeps of one origin */
#define GOSSIP_RATE 100   /* facts and records a second of one address */
#define PENDING_MAX 64    /* facts that one turn takes up */
#define KEPT_OUT_MS 60000 /* a job whose blobs were not here is looked at again after this */
#define ANNOUNCE_MS ((int64_t)24 * 3600 * 1000) /* a note lasts so long; renewed at half of it */

struct gossip *gossip_new(struct coord *c);
void gossip_free(struct gossip *g);
/* A body of POST /v1/gossip for `call`, from `address`. */
void gossip_message(struct call *call, const char *bytes, size_t n, const char *address);
/* Its asker went away. */
void gossip_forget(struct gossip *g, const struct call *call);
/* Jobs came or ended: what is announced is put right at the end of the turn. */
void gossip_stir(struct gossip *g);
/* A cancel was taken: pass it on, once it is durable. */
void gossip_pass(struct gossip *g, const char *line);
/* After the turn's commit (`kept`), or when it failed. */
void gossip_turn(struct gossip *g, bool kept);
/* In how many ms a held question is to be answered; at most 60000. */
int64_t gossip_due_in(const struct gossip *g);
/* Answer all that are held. */
void gossip_release(struct gossip *g);

#endif
