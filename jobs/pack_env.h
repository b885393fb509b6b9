/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_env.h: what of an environment an image keeps: how a program finds its code, and nothing else.
 */
#ifndef JOBS_PACK_ENV_H
#define JOBS_PACK_ENV_H

#include "jobs/pack_plan.h"

#define PACK_ENV_MAX 32

struct pack_env {
	char *at[PACK_ENV_MAX]; /* NAME=VALUE */
	size_t n;
};

/* The folders that the environment names as code (PYTHONPATH and the like): for pack_where.code. Texts are yours. */
void pack_env_code(struct texts *code, char *const *environment);
/* PATH (folders that have something in the image, then the usual ones), a few named ones, and for what lies in a home
 * where its program looks for it, since a box has another home. Paths below the working folder are /work's. */
void pack_env_make(struct pack_env *env, const struct pack_where *where, struct pack_plan *plan,
	char *const *environment);
void pack_env_release(struct pack_env *env);

#endif
