/* SPDX-License-Identifier: Apache-2.0
 *
 * tolerance.h: that counted results of different outcomes agree, checked again from their outputs.
 *
 * The outputs of the result that a task shows stand in DIR/INDEX/; those of the others that were counted, as far as they
 * differ, in DIR/evidence/HEX, named by their digests.
 */
#ifndef JOBS_TOLERANCE_H
#define JOBS_TOLERANCE_H

#include "jobs/evidence.h"

struct tolerance {
	const char *dir;
	struct evidence *ev;
	bool run_comparator; /* run the submitter's program in the box; else what it judges is only counted */
	/* out: */
	int64_t compared, unjudged; /* pairs of outputs */
};

/* Call fn for every output that the check of this task (which has an outcome) needs beside those that it shows. -1 when fn
 * says so. */
int tolerance_needs(struct evidence *ev, int64_t index,
	int (*fn)(void *arg, const struct output *o), void *arg);

/* Every two counted results of a checked task agree, output by output. -1 and `e`: they do not, or a file is missing or
 * not what its name says. */
int tolerance_check(struct tolerance *t, int64_t index, struct err *e);

/* An output and its file, open at its begin. The caller has held its bytes against the digest: it is this file that is read,
 * since the folder is a stranger's, who may put another there at any time. */
struct tolerance_file {
	const struct output *is;
	int fd;
};

/* Whether two outputs of one name say the same, as the job compares it: TOLERANCE_…, or -1 and `e`. */
enum { TOLERANCE_DIFFER, TOLERANCE_AGREE, TOLERANCE_UNJUDGED };
int tolerance_files(struct tolerance *t, const struct tolerance_file *a, const struct tolerance_file *b, struct err *e);

#endif
