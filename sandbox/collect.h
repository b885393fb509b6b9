/* SPDX-License-Identifier: Apache-2.0
 *
 * collect.h: take what a program left in /out, by a strict rule.
 *
 * Taken are regular files whose path has at most 4 parts, each [A-Za-z0-9._-]{1,100} and not beginning with
 * a dot. Nothing is followed; everything else is named and left. Bytes are counted while they are copied.
 */
#ifndef SANDBOX_COLLECT_H
#define SANDBOX_COLLECT_H

#include "sandbox/fail.h"
#include "sandbox/box.h"

#define COLLECT_NAMED_MAX 32 /* things not taken that are named; the rest is counted */

struct collect {
	char *not_taken[COLLECT_NAMED_MAX]; /* paths as they are, any bytes */
	int n_not_taken;  /* in all */
	int taken;
	int64_t bytes, bytes_max;
	bool overflow; /* more than bytes_max, or more than BOX_OUTPUTS_MAX files */
};

/* From the folder `from` to the folder `to`; new files 0600, never overwriting. */
int collect_all(struct collect *c, int from, int to, struct fail *f);

#endif
