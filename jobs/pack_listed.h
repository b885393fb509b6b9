/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_listed.h: files that a run saw in a folder and did not open. Another task, with other words, may.
 */
#ifndef JOBS_PACK_LISTED_H
#define JOBS_PACK_LISTED_H

#include "jobs/pack_plan.h"

#define LISTED_NAMES_MAX 4

/* "PATH, PATH and N more": regular files, not in the image and not touched, in folders below the working folder whose
 * names the run read. Of the working folder itself nothing is told: Python lists it whatever the program does. NULL: none.
 * Yours. */
char *listed_left(const struct pack_where *where, struct pack_plan *plan,
	const struct touches *touched) MUST_USE;

#endif
