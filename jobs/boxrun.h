/* SPDX-License-Identifier: Apache-2.0
 *
 * boxrun.h: run one task here, in talkoot-sandbox, for `submit --try` and `verify --rerun`.
 */
#ifndef JOBS_BOXRUN_H
#define JOBS_BOXRUN_H

#include "common/result.h"
#include "jobs/job_inputs.h"
#include "jobs/tool.h"

#include <sys/types.h>

struct boxrun {
	const struct job *job;
	const struct job_task *task;
	const struct inputs *inputs; /* of other jobs; NULL: none */
	/* The path of a file that holds the blob: yours to free after; NULL with `e` when there is none. */
	char *(*find)(void *arg, const struct blob *b, struct err *e);
	void *arg;
	/* Optional: called when the result is made, while its outputs still stand in TMP/stdout and TMP/out/NAME. */
	int (*look)(void *arg, const struct boxrun *b, const char *tmp, struct err *e);
	/* out: */
	struct result result; /* what a worker would sign, with its outcome */
	char *stderr_text;    /* its end; yours, NUL-terminated */
	size_t stderr_n;
};

/* -1: it could not be run at all (the box is missing, or refuses). A task that fails is 0, and its result says
 * so. */
int boxrun(struct boxrun *b, struct err *e);
void boxrun_release(struct boxrun *b);

/* --- for tolerance.c, which runs comparators ------------------------------------------------- */
/* A file that must have the digest d: what was copied is what was looked at, whatever stands at `from` a moment later. */
int boxrun_copy(const char *to, const char *from, const struct digest *d, mode_t mode, struct err *e);
/* The same of what is open, from where it stands. */
int boxrun_copy_fd(const char *to, int in, const struct digest *d, mode_t mode, struct err *e);
/* Run talkoot-sandbox to its end. -1: it could not be started, or it did not start the program. */
int boxrun_spawn(struct tool *box, int *status, struct err *e);

#endif
