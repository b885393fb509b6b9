/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_here.h: what a plan is made of, asked of this machine: the working folder, the homes, what stands at a path.
 */
#ifndef JOBS_PACK_HERE_H
#define JOBS_PACK_HERE_H

#include "jobs/pack_plan.h"

struct pack_here {
	char *cwd, *image, *homes[PACK_HOMES_MAX]; /* real paths; homes that there are come first */
};

/* ERR_USAGE where the working folder is /; ERR_SYSTEM where `image` cannot be written to its folder. */
int here_open(struct pack_here *h, const char *image, struct err *e);
void here_close(struct pack_here *h);
/* A look_fn; `arg` is not used. */
void here_look(void *arg, const char *path, struct look *out);
/* Whether `name`, as execvp(3) finds it, is a program that needs an image: ERR_USAGE when it is none, or is static. */
int here_program(const char *name, struct err *e);
/* From now on this process, and what it starts, has of the environment what a box has: a run with other words than in
 * the box would open other files. And Python leaves no files beside its own that the next image would have. */
void here_as_in_the_box(void);
/* Note `path`, and everything below it, as asked for; its real path is added to `asked`. ERR_USAGE when it is not there. */
int here_include(struct touches *t, struct texts *asked, const char *path, struct err *e);

#endif
