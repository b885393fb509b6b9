/* SPDX-License-Identifier: Apache-2.0
 *
 * mend.h: which one command brings back a layer of the box that is missing on this machine.
 *
 * The choice is made from facts alone, so that every system we know of can be tried in a test.
 */
#ifndef WORKER_MEND_H
#define WORKER_MEND_H

#include "common/base.h"
#include "sandbox/box.h"

#define FACT_UNKNOWN (-1) /* this kernel has no such setting, or it cannot be read */

struct facts {
	bool root;          /* we run as root */
	bool container;     /* in Docker, Podman or their like */
	bool filtered;      /* system calls of ours are filtered already */
	int64_t apparmor;   /* kernel.apparmor_restrict_unprivileged_userns */
	int64_t clone;      /* kernel.unprivileged_userns_clone (Debian, Ubuntu) */
	int64_t max[BOX_N_LAYERS]; /* user.max_*_namespaces */
	bool profile;       /* our AppArmor profile is in /etc/apparmor.d … */
	bool profile_fits;  /* … and names the box that we run */
	bool profile_can;   /* an AppArmor that can read it is installed */
	bool proc_children; /* /proc/PID/task/TID/children */
	bool hidepid;       /* /proc is mounted with hidepid= */
	bool grubby;        /* Fedora's way to set the kernel's parameters; else Debian's */
	int64_t kernel;     /* 6.1 is 6001 */
	char lsm[200];      /* the security modules that are on; "" when that cannot be read */
};

/* Look at this machine. */
void facts_read(struct facts *f, const char *sandbox);

/* What to do about `layer`, which is missing for `why`; yours. Pure. */
char *mend(const struct facts *f, enum box_layer layer, const char *why) MUST_USE;

/* What to do where the profile `files` works, but without its bit `proc`. Pure. */
const char *mend_proc(const struct facts *f);

#endif
