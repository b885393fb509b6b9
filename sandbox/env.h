/* SPDX-License-Identifier: Apache-2.0
 *
 * env.h: the environment of a boxed program, built from nothing.
 */
#ifndef SANDBOX_ENV_H
#define SANDBOX_ENV_H

#include "sandbox/box.h"

#include <stddef.h>

#define ENV_MAX (24 + BOX_ENV_MAX)

struct env {
	char *words[ENV_MAX]; /* NAME=VALUE; NULL at the end, as execve wants it */
	char threads[5][40];
};

/* The same limits give the same environment, on every machine. Pure. */
void env_build(struct env *e, const struct box_limits *limits);

/* Of an image: its usual PATH, then `n` words (at most BOX_ENV_MAX), borrowed. A later word replaces an earlier one of its name; what
 * a deterministic run pins stays as it is. Pure. */
void env_add(struct env *e, const struct box_limits *limits, const char *const *words, size_t n);

/* The value of `name`, or NULL. */
const char *env_value(const struct env *e, const char *name);

#endif
