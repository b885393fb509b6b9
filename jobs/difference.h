/* SPDX-License-Identifier: Apache-2.0
 *
 * difference.h: what two files have that is not the same.
 */
#ifndef JOBS_DIFFERENCE_H
#define JOBS_DIFFERENCE_H

#include "common/err.h"

/* Whether both files hold the same, looking at no more than `max` bytes; -1 with `e`. */
int files_equal(const char *a, const char *b, int64_t max, bool *equal, struct err *e);

#define DIFFERENCE_SHOWN 160 /* bytes of a line */
struct difference {
	size_t line; /* from 1; 0: none was found */
	char a[DIFFERENCE_SHOWN + 1],
		b[DIFFERENCE_SHOWN + 1]; /* how these lines begin; empty where a file is over */
};

/* The first line in which two files of bounded size differ. */
struct difference files_differ(const char *a, const char *b);

#endif
