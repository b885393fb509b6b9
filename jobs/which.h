/* SPDX-License-Identifier: Apache-2.0
 *
 * which.h: the program that a word means, as execvp(3) finds it.
 */
#ifndef JOBS_WHICH_H
#define JOBS_WHICH_H

#include "common/base.h"

/* `name` itself where it has a slash, else the first of its name in PATH: a regular file that we may execute.
 * Yours; NULL: it is nowhere. */
char *which_program(const char *name) MUST_USE;

#endif
