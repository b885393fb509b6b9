/* SPDX-License-Identifier: Apache-2.0
 *
 * keeper.h: `talkoot-sandbox --serve`: one process that makes all boxes of a profile, so that a task costs
 * no start of a program beside its own.
 *
 * It is started for the first box and ends after a while without one. It runs at ordinary priority, its boxes
 * at idle priority: a launcher that waits for the processor would keep the others waiting.
 */
#ifndef WORKER_KEEPER_H
#define WORKER_KEEPER_H

#include "common/loop.h"
#include "sandbox/box.h"
#include "worker/line.h"

struct keeper;

/* The box ended. `why`, borrowed: NULL, or why the keeper cannot tell how. */
typedef void keeper_fn(void *arg, const char *why);

/* `guard` is struct guard's fd; `sandbox` is borrowed. Starts nothing yet. */
struct keeper *keeper_new(struct loop *l, int guard, const char *sandbox, enum box_profile profile);
/* Run this; takes `line`, whose words must fit a packet. Gives its number, or 0 when there are
 * KEEP_LODGERS_MAX: then `line` is still yours. fn is called from the loop. */
uint32_t keeper_ask(struct keeper *k, struct line *line, keeper_fn *fn, void *arg);
/* Kill it; fn follows, within KEEP_KILL_MS + KEEP_END_MS. */
void keeper_kill(struct keeper *k, uint32_t id);
/* The same, but fn is not called any more. */
void keeper_forget(struct keeper *k, uint32_t id);
/* How long ago it was given to the process; 0: it waits. */
int64_t keeper_ran_ms(const struct keeper *k, uint32_t id);
/* Stop all its boxes where they stand, those to come too; or let them go on. Stopped time is no wall time of theirs. */
void keeper_hold(struct keeper *k, bool hold);
/* When it has nothing to do it is ended, so that the next one knows this machine as it is. */
void keeper_renew(struct keeper *k);
/* End the process and wait for that, a moment at most; no fn is called any more. NULL is fine for both. */
void keeper_end(struct keeper *k);
void keeper_free(struct keeper *k);

#endif
