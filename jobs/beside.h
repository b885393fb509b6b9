/* SPDX-License-Identifier: Apache-2.0
 *
 * beside.h: the other programs of talkoot, and running one to its end.
 */
#ifndef JOBS_BESIDE_H
#define JOBS_BESIDE_H

#include "common/err.h"

/* NAME beside this program; where it is not there, NAME alone, for PATH to be searched. Yours. */
char *beside(const char *name) MUST_USE;
/* Run argv with these as its standard input and output (-1: ours) and wait. *code: its exit code, 128 + N for signal N. */
int run_program(char *const argv[], int in, int out, int *code, struct err *e);

#endif
