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

#endif
