/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpoint.h: what a task had reached travels with its lease, where the manifest says so.
 *
 * A worker uploads a checkpoint and names it in an ask, while it holds the lease. Whoever is leased the task next, before a
 * result is in, is handed the newest one. All who wrote one since the last result are authors of what comes out: from
 * then on the task's other copies go only to workers independent of each of them (AUTHOR in quorum.h), and begin anew.
 * Where a job asks for one platform class, who is of another class than the author of the newest one begins anew too: so what
 * a class has computed is its own.
 */
#ifndef COORDINATOR_CHECKPOINT_H
#define COORDINATOR_CHECKPOINT_H

#include "coordinator/coord.h"

/* The `checkpoints` of an ask, before anything it gives back is taken back. What is not this worker's to say, or not
 * uploaded, is left out: the task then begins anew. */
void checkpoint_take(struct coord *c, uint32_t worker, const json_t *ask);
/* Add to `one`, this lease in a lease message, what its task goes on from. */
void checkpoint_tell(struct coord *c, const struct lease *l, json_t *one);
/* Whether a result may name what it went on from. */
int checkpoint_check_result(struct coord *c, uint32_t job, const struct result *r, struct err *e);
/* A result of the task is in: its checkpoints are handed on no more. */
void checkpoint_close(struct coord *c, uint32_t job, int64_t index);
/* At start: the authors whose work is in results already, before these are read; then the others. */
void checkpoint_load(struct coord *c, uint32_t job, bool closed);

#endif
