/* SPDX-License-Identifier: Apache-2.0
 *
 * glob.h: patterns of paths: `*` and `?` stop at '/', `**` does not.
 */
#ifndef JOBS_GLOB_H
#define JOBS_GLOB_H

#include "common/base.h"

#define GLOB_MAX 200 /* bytes of a pattern: the shape's bound. A longer one matches nothing */

bool glob_matches(const char *pattern, const char *path);

#endif
