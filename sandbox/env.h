/* SPDX-License-Identifier: Apache-2.0
 *
 * env.h: the environment of a boxed program, built from nothing.
 */
#ifndef SANDBOX_ENV_H
#define SANDBOX_ENV_H

#include "sandbox/box.h"

#include <stddef.h>

#define ENV_MAX 24

struct env {
	char *words[ENV_MAX]; /* NAME=VALUE; NULL at the end, as execve wants it */
	char threads[5][40];
};

/* The same limits give the same environment, on every machine. Pure. */
void env_build(struct env *e, const struct box_limits *limits);

#endif
