/* SPDX-License-Identifier: Apache-2.0
 *
 * filter.h: the system calls a program may make, as policy.h lists them, given to the kernel.
 */
#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include "sandbox/box.h"
#include "sandbox/why.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct filter_plan {
	enum box_profile profile;
	bool rooted; /* it stands in its own root */
	pid_t self;  /* the pid it will see as its own */
};

/* "sha256:…" of policy.h's text, as built. */
extern const char filter_policy[];

/* Bind the calling process for ever (it needs no_new_privs first). */
int filter_load(const struct filter_plan *plan, struct why *w);

/* For tests: whether the table has a line (of any kind but NOSYS) for system call `nr`. */
bool filter_lists(const struct filter_plan *plan, int nr);

#endif
