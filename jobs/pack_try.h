/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_try.h: the proof of an image: it is unpacked as a worker would, and its program runs in the box.
 */
#ifndef JOBS_PACK_TRY_H
#define JOBS_PACK_TRY_H

#include "jobs/pack_env.h"

struct pack_try {
	const char *image;           /* the file */
	const struct texts *command; /* at most JOB_ARGS_MAX words */
	const struct pack_env *env;
	const char *tmp; /* a folder for everything that is made; its owner removes it */
	bool stdin_file; /* standard input is a file: the program reads it again, from where it now stands */
	/* out: */
	int code;          /* of the program; 128 + N for signal N */
	char reason[16];   /* "exited", or what ended it, as in the box's report */
	char *stdout_path; /* what it wrote; yours, as the next */
	char *stderr_text; /* the end of what it said */
};

/* -1: it could not be tried. A program that failed is 0. */
int pack_try(struct pack_try *t, struct err *e);
/* Its program once more, in what pack_try() unpacked; standard input stands where it did. */
int pack_try_again(struct pack_try *t, struct err *e);
void pack_try_release(struct pack_try *t);

#endif
