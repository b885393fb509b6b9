/* SPDX-License-Identifier: Apache-2.0
 *
 * place.h: where the trees of a worker's images are, and whether its boxes get there.
 */
#ifndef WORKER_PLACE_H
#define WORKER_PLACE_H

#include "common/base.h"
#include "common/err.h"

/* Of the worker in `worker_dir`: its folder images; or, where root runs the worker and nobody, who makes its boxes, cannot
 * get there, one in /var/cache/talkoot named after it (*away), where those of folders that are no more are removed. Yours. */
char *place_new(const char *worker_dir, bool *away) MUST_USE;
/* Remove one that was away. */
void place_leave(const char *place);

/* Whether trees in `dir` (NULL: wherever) could be roots of boxes, made by `tool` (talkoot-image; NULL: there is none); e
 * says why not. */
int place_check(const char *dir, const char *tool, struct err *e);

#endif
