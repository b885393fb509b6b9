/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_home.h: what of a person's home folder is a program's own, and may travel.
 */
#ifndef JOBS_PACK_HOME_H
#define JOBS_PACK_HOME_H

#include "jobs/pack_plan.h"

/* The home that `path` is below, outside of the working folder; NULL: none. Where the working folder is a home, or above
 * one, the names with a dot in front in that home are not the working folder's. */
const char *home_of(const struct pack_where *w, const char *path);
/* Whether `path` is of the working folder. */
bool work_has(const struct pack_where *w, const char *path);
/* The folder of code (or the file) for whose sake `path`, a file below `home` that was touched so, goes along.
 * NULL: it stays. Yours. */
char *home_takes(const struct pack_where *w, const char *home, const char *path, unsigned how);

#endif
