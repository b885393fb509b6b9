/* SPDX-License-Identifier: Apache-2.0
 *
 * filter.h: the system calls a program may make, as policy.h lists them, given to the kernel.
 *
 * The code was made when this was built (filter_gen.c); here it is chosen, told the program's pid and
 * loaded.
 */
#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include "sandbox/box.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <sys/types.h>

#define FILTER_MAX 512 /* instructions: half as many again as the longest now */

struct filter {
	unsigned short n;
	struct sock_filter code[FILTER_MAX];
};

struct filter_plan {
	enum box_profile profile;
	bool rooted; /* it stands in its own root and pid namespace */
	bool seeded; /* getrandom is answered by who listens */
	pid_t self;  /* the pid it will see as its own */
	bool jit;    /* of files and image: what was written may be executed */
};

/* "sha256:…" of policy.h's text, as built. */
extern const char filter_policy[];

/* Pure; cannot fail; makes no system call and touches no errno, for it may run in a vfork child. */
void filter_make(struct filter *f, const struct filter_plan *plan);

/* Bind the calling process for ever (it needs no_new_privs first). *listener: the descriptor on which
 * a seeded plan's getrandom calls arrive, else -1. 0 or -errno. Raw system calls only, errno is not
 * touched. */
int filter_bind(const struct filter *f, bool seeded, int *listener);

/* For tests: whether system call `nr` may be let through under the plan, with some arguments. */
bool filter_lists(const struct filter_plan *plan, int nr);

#endif
