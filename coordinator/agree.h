/* SPDX-License-Identifier: Apache-2.0
 *
 * agree.h: which results of a tolerant job agree: what the scheduler asks about pairs of votes, found out.
 *
 * Whether two outcomes agree follows from the job and their outputs alone, so what was found stays true: it is kept in
 * memory, bounded, and found out again after a restart, or when it was dropped. Small outputs are compared in the loop, a
 * bounded number of bytes a turn; large ones, and all that the submitter's comparator judges, in child processes, a few at a
 * time.
 */
#ifndef COORDINATOR_AGREE_H
#define COORDINATOR_AGREE_H

#include "coordinator/sched.h"

#define AGREE_STEP_BYTES (1 * MIB)   /* in one turn of the loop, what else it does counted too: 10 ms */
#define AGREE_PAIR_BYTES (256 * KIB) /* of one pair; what is beyond goes to a child */
#define AGREE_LOOKS 1024             /* undecided tasks looked at in one turn */
#define AGREE_CHILDREN 4             /* comparisons in processes at a time */
#define AGREE_CHILDREN_A_JOB 2       /* of them of one job */
#define AGREE_CHILD_S 120            /* how long one may take; then the two count as different */
#define AGREE_KNOWN_MAX (1 << 18)    /* pairs remembered: 16 MiB */

struct agree;
struct coord;

/* What earlier runs left in DIR/compare is removed. */
struct agree *agree_new(struct coord *c);
void agree_free(struct agree *a); /* its children are killed */
/* For the scheduler, whose state was read anew from the store: rows of envelopes may be others now. */
struct relating agree_begin(struct agree *a);
/* Compare some, settle what is known, and decide the tasks that follow. */
void agree_step(struct coord *c);

#endif
