/* SPDX-License-Identifier: Apache-2.0
 *
 * join.h: fetches the grid's descriptor from the links (the coordinator's or any worker's), until there is one
 * and then now and again, since keys and addresses change. While the coordinator is reached through a relay the
 * direct ways are probed, ever more rarely, so that nobody stays relayed who need not be.
 */
#ifndef WORKER_JOIN_H
#define WORKER_JOIN_H

#include "worker/home.h"
#include "common/fetch.h"
#include "common/loop.h"

struct join;

/* learned() is called from the loop after each descriptor that was taken. */
struct join *join_new(struct loop *l, struct fetcher *f, struct home *h, loop_fn *learned, void *arg);
void join_free(struct join *j);
/* A node of our grid was found nearby: it is asked at once while there is no descriptor, or the last node did not
 * give one, and is remembered (the last JOIN_FOUND_MAX are). */
#define JOIN_FOUND_MAX 8
void join_found(struct join *j, const struct id *node, const struct endpoint *at);

#endif
