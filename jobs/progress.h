/* SPDX-License-Identifier: Apache-2.0
 *
 * progress.h: how far something is: a bar on a terminal, now and then a line elsewhere. Always on stderr.
 */
#ifndef JOBS_PROGRESS_H
#define JOBS_PROGRESS_H

#include "common/base.h"

struct progress {
	bool terminal, drawn;
	int64_t told_ms, told; /* when and what was last written as a line */
};

void progress_start(struct progress *p, int64_t now_ms);
/* `detail` is a few words, may be "". */
void progress_show(struct progress *p, int64_t done, int64_t total, const char *detail, int64_t now_ms);
/* The bar is taken away. */
void progress_end(struct progress *p);

#endif
