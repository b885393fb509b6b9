/* SPDX-License-Identifier: Apache-2.0
 *
 * filter.h: the system call filter (seccomp), an allow-list.
 */
#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include "sandbox/box.h"

/* The SHA-256 of policy.h and filter.c, computed by the build: what the program ran under. */
extern const char filter_policy[];

/* Install for good in this thread, which must have no_new_privs. 0, or -1 and errno. `self` is the
 * process that it may signal where no pid namespace bounds that; 0: any it can see. */
int filter_install(enum box_profile profile, int self);
/* Whether the kernel takes filters at all. */
int filter_available(void);

#endif
