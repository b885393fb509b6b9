/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h: which layers this machine grants, found out by trying each.
 */
#ifndef SANDBOX_CHECK_H
#define SANDBOX_CHECK_H

#include <stdio.h>

/* Write {"compute":bool,"files":bool,"layers":{"userns":"ok" or why not,…},"bits":{"jit":"ok" or why not,…}}. Gives main's exit
 * code: 0 when at least `compute` runs here, else 1. Starts children, and may give up root for
 * good. */
int check_run(FILE *f);

#endif
