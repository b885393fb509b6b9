/* SPDX-License-Identifier: Apache-2.0
 *
 * landlock.h: which files may be reached at all, by whatever path, even when a mount were wrong.
 */
#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include <stddef.h>

/* What may be done below one file or directory. */
enum landlock_use {
	LANDLOCK_RUN,   /* execute and read this file */
	LANDLOCK_READ,  /* read files, list directories */
	LANDLOCK_LIVE,  /* read and execute: a root file system */
	LANDLOCK_OWN,   /* everything but devices and sockets */
	LANDLOCK_DEVICE /* read and write this file */
};

struct landlock_place {
	int fd; /* opened with O_PATH or otherwise; borrowed */
	enum landlock_use use;
};

/* The kernel's version of it, or 0 when there is none. */
int landlock_version(void);

/* Bind the calling process for ever to `places`: nothing else is opened, no TCP port is bound or
 * reached, nothing outside is signalled. Needs no_new_privs first. Raw system calls only (raw.h):
 * 0 or -errno; -EOPNOTSUPP: there is no Landlock. */
long landlock_bind(const struct landlock_place *places, size_t n);

#endif
