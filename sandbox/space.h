/* SPDX-License-Identifier: Apache-2.0
 *
 * space.h: the box's own world: namespaces, identity, and a root with nothing in it but what the spec gives.
 */
#ifndef SANDBOX_SPACE_H
#define SANDBOX_SPACE_H

#include <sys/types.h>

#include "sandbox/spec.h"

#define BOX_UID 1000    /* who the program believes to be */
#define BOX_NOBODY 65534 /* who it is outside when the launcher is root */

/* Descriptors that the launcher opened while it still was who it was. -1: none. */
struct space {
	int inputs[BOX_INPUTS_MAX]; /* detached mounts; only when the launcher is root */
	int root;                   /* likewise */
	int program;                /* the executable */
	bool user, pid, mount;      /* which namespaces there are (net, ipc and uts come with mount) */
};

/* Launcher: take inputs and root along as detached mounts (root only; otherwise nothing to do). */
int space_grab(struct space *s, const struct spec *spec, struct fail *f);
/* Launcher: clone a child into as many namespaces as the kernel grants; -1 with *f when the profile needs
 * more than that. Returns the pid, 0 in the child. */
pid_t space_clone(struct space *s, const struct spec *spec, struct fail *f);
/* Launcher: give the child its identity. */
int space_map(const struct space *s, pid_t child, struct fail *f);
/* Child, after space_map: become BOX_UID and build the root. *out_fd: /out (profile files), else -1. */
int space_enter(struct space *s, const struct spec *spec, int *out_fd, struct fail *f);

#endif
