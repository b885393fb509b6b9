/* SPDX-License-Identifier: Apache-2.0
 *
 * contest.h: two results' outputs compared in a child process, as they are large or the submitter's program judges them.
 */
#ifndef COORDINATOR_CONTEST_H
#define COORDINATOR_CONTEST_H

#include "common/blob.h"
#include "common/result.h"
#include "jobs/comparator.h"

#include <sys/types.h>

enum { CONTEST_SAME = 0, CONTEST_DIFFERENT = 1, CONTEST_FAILED = 3 }; /* the child's exit codes */

/* One output of both. */
struct match {
	const char *name; /* borrowed */
	struct comparison how;
	struct digest digest[2];
	char *bytes[2]; /* yours to give; NULL: a blob's file */
	size_t n[2];
};

struct contest {
	const struct job *job;
	struct blobs *blobs;
	bool quiet; /* what fails is not told */
	struct match matches[RESULT_FILES_MAX + 1];
	size_t n;
};

/* talkoot-sandbox beside this program, in which comparators run. Yours; NULL: there is none. */
char *contest_sandbox(void) MUST_USE;
/* A child of this process, in a group of its own, that looks at all matches and ends with one of the codes above, or by
 * SIGALRM after at most `wall_s`. It writes into `dir`, which is there and empty; the caller removes it. -1: none. */
pid_t contest_start(const struct contest *x, const char *dir, unsigned wall_s, struct err *e);
void match_release(struct match *m);
void contest_release(struct contest *x);

#endif
