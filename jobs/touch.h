/* SPDX-License-Identifier: Apache-2.0
 *
 * touch.h: what a run touched: paths, each once, and how.
 *
 * A path is absolute and as the program spelled it (behind its working folder): links and `..` are still in it.
 */
#ifndef JOBS_TOUCH_H
#define JOBS_TOUCH_H

#include "common/base.h"
#include "common/err.h"

#define TOUCH_PATHS_MAX                                                                            \
	65536 /* a Python with numpy touches some 1500; a large R or Julia ten times that */
#define TOUCH_PATH_MAX 4095 /* PATH_MAX of Linux, without the NUL */

enum touch_how {
	TOUCH_STAT = 1, /* looked at, or gone through */
	TOUCH_READ = 2,
	TOUCH_WRITE = 4,  /* opened for writing, changed, or removed */
	TOUCH_MADE = 8,   /* it was not there before */
	TOUCH_LIST = 16,  /* a folder whose names were read */
	TOUCH_EXEC = 32,  /* a program, its interpreter or its loader */
	TOUCH_ASKED = 64, /* --include names it, or a folder above it */
};

struct touch {
	char *path;
	unsigned how;
};

struct touches {
	struct touch *at;
	size_t n, room;
	size_t *index; /* open addressing: number + 1 of a path, by its hash; at most half full */
	size_t index_n;
	bool full; /* more than TOUCH_PATHS_MAX: the rest was not noted */
};

/* Note `path` (copied); what is no absolute path, or longer than TOUCH_PATH_MAX, is passed over. Its
 * number in `at`; t->n where there is none. */
size_t touches_add(struct touches *t, const char *path, unsigned how);
bool touches_has(const struct touches *t, const char *path);
void touches_release(struct touches *t);

#endif
