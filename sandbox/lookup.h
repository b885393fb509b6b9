/* SPDX-License-Identifier: Apache-2.0
 *
 * lookup.h: which paths of an image a program's name may mean, in the order in which they are tried.
 */
#ifndef SANDBOX_LOOKUP_H
#define SANDBOX_LOOKUP_H

#include "sandbox/why.h"

#define LOOKUP_MAX 64        /* folders of PATH; a usual one has six */
#define LOOKUP_PATH_MAX 4095 /* bytes of one path; the kernel takes no more */

/* `name` itself when a slash is in it, else `name` in each folder of `path`, as execvp(3) does: an empty
 * one is the current folder. *out is a NULL-ended list in one piece, to be freed. Touches no file. -1: `w` says
 * which bound it is beyond. */
int lookup_paths(char ***out, const char *name, const char *path, struct why *w);

#endif
