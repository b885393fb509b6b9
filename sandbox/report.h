/* SPDX-License-Identifier: Apache-2.0
 *
 * report.h: how a box ended: judged from what was seen, and written as JSON.
 */
#ifndef SANDBOX_REPORT_H
#define SANDBOX_REPORT_H

#include "sandbox/collect.h"

#include <stdio.h>

/* What was seen, by whoever could see it. */
struct ending {
	bool failed; /* never started; `why` says it */
	struct why why;
	enum box_reason limit; /* what the launcher ended it for, or BOX_REASON_EXITED */
	int asked;             /* the signal by which somebody asked the launcher to end, or 0 */
	bool known;            /* `status` came from the init */
	int status;            /* as wait(2) gives it */
	bool starved;          /* the kernel has killed for want of memory */
	bool full;             /* /out and /tmp hold more than they may */
	int64_t cpu_us, wall_us, rss_kib;
	unsigned layers;
	unsigned bits; /* BOX_JIT, BOX_PROC: what it had besides */
	struct collected out;
};

struct verdict {
	enum box_reason reason;
	int code;   /* what talkoot-sandbox itself exits with */
	int exit;   /* the program's own code, or 0 when it did not come to one */
	int signal; /* the one that ended it, or 0 */
};

/* Pure: same ending, same verdict. */
struct verdict report_judge(const struct ending *e, const struct box_limits *l);

/* One JSON object and a newline. 0, or -1 with errno. */
int report_write(FILE *f, const struct ending *e, const struct verdict *v);

/* A JSON string with its quotes; bytes that are no ASCII become \u00XX. */
void report_string(FILE *f, const char *s);

extern const char *const report_layers[BOX_N_LAYERS];

#endif
