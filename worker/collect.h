/* SPDX-License-Identifier: Apache-2.0
 *
 * collect.h: what a box left in its folder, as a result that can be signed.
 *
 *	DIR/report   the box's own record of how it ended
 *	DIR/stdout   DIR/stderr   DIR/out/PATH   what the program wrote
 *	DIR/errors   what the box itself complained about
 */
#ifndef WORKER_COLLECT_H
#define WORKER_COLLECT_H

#include "common/blob.h"
#include "common/result.h"
#include "jobs/job.h"

/* A small output that travels beside the envelope. */
struct piece {
	struct digest digest;
	char *bytes;
	size_t n;
};

struct product {
	struct result result;
	struct digest policy; /* of the box */
	struct piece *pieces;
	size_t n_pieces;
	struct digest *stored; /* large outputs, in the store */
	size_t n_stored;
	size_t bytes;  /* what it adds to a message */
	bool broken;   /* the box could not be set up */
	char why[256]; /* then: what the box said, on its standard error or in its report */
};

/* Read DIR. Large outputs go into `store`. A box that left no sound report is reason `setup`; `overran`: it had to be
 * killed long after its time. -1 only when this machine fails (a full disk). */
int collect(struct product *p, const char *dir, const struct job *job, struct blobs *store, bool overran,
	struct err *e);
void product_release(struct product *p);

/* The text of DIR/report. False: it is not sound, and `p` is as it was. Pure. */
bool product_read_report(struct product *p, const char *text, size_t n);

#endif
