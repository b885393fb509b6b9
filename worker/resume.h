/* SPDX-License-Identifier: Apache-2.0
 *
 * resume.h: where a task goes on from, and what becomes of what it reaches: one errand's part of saved.h and claims.h.
 */
#ifndef WORKER_RESUME_H
#define WORKER_RESUME_H

#include "common/loop.h"
#include "jobs/job.h"
#include "worker/claims.h"
#include "worker/saved.h"

#define RESUME_COPY_S 10  /* so often the box copies a checkpoint out: a crash costs no more, and the program's own pace */
#define RESUME_SEND_S 60  /* so often one that travels is sent to the coordinator while the task runs */

struct resume_of {
	struct loop *loop;
	struct saved *saved;
	struct claims *claims;
	struct blobs *blobs; /* where inherited checkpoints are */
};

struct resume {
	const struct resume_of *of;
	enum job_checkpoint how;
	struct digest job;
	int64_t index;
	char lease[LEASE_HEX + 1];
	char *from; /* the file it goes on from, or NULL: from the start */
	bool inherits;
	struct digest inherited;
	char *out; /* where the box's outputs go */
	struct timer *timer;
	struct sending *sending;
	struct timespec sent; /* of the copy that was sent last */
	void (*handed_on)(void *arg);
	void *arg;
};

/* What rests on a checkpoint of others' is not kept here, only sent on: the next lease of the task may be for another copy,
 * whose authors must not be these. */
/* Before its box starts in the folder `dir`. `given`: what the lease handed on, fetched already; NULL: nothing. It is
 * preferred to what is saved here: others may have gone on from that. */
int resume_begin(struct resume *r, const struct resume_of *of, const struct job *job, int64_t index, const char *lease,
	const char *dir, const struct blob *given, struct err *e);
/* The box was stopped and its outputs are in: send the checkpoint on and call done(arg) from the loop, whatever came
 * of it. False: there is nothing to send, and done is not called. */
bool resume_hand_on(struct resume *r, void (*done)(void *arg), void *arg);
/* Nothing more comes of it. `ended`: there is a result, so nothing needs to be kept. May be called again, and on zeros. */
void resume_end(struct resume *r, bool ended);

#endif
