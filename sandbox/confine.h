/* SPDX-License-Identifier: Apache-2.0
 *
 * confine.h: the last steps of the program's own process: what it may still do, then exec.
 */
#ifndef SANDBOX_CONFINE_H
#define SANDBOX_CONFINE_H

#include "sandbox/space.h"

struct stdio {
	int in, out, err; /* what becomes 0, 1, 2 */
};

/* Confine this process and execute the program. Does not return: a step that fails is sent to `talk` as a
 * NOTE_FAIL (reap.h) and the process exits. */
void confine_exec(const struct space *s, const struct spec *spec, const struct stdio *io, int talk)
	__attribute__((noreturn));

/* The kernel's Landlock version, 0 when there is none. */
int confine_landlock(void);

#endif
