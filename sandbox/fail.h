/* SPDX-License-Identifier: Apache-2.0
 *
 * fail.h: a sentence about what went wrong, carried from wherever in the box it went wrong to the
 * launcher, which prints it. Plain data of fixed size, so that it fits through a pipe in one write.
 */
#ifndef SANDBOX_FAIL_H
#define SANDBOX_FAIL_H

struct fail {
	int exit; /* BOX_EXIT_USAGE or BOX_EXIT_NOT_STARTED; 0: nothing failed */
	char text[400];
};

/* Both return -1. fail_sys adds errno's text. */
int fail_set(struct fail *f, int exit, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int fail_sys(struct fail *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
