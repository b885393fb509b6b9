/* SPDX-License-Identifier: Apache-2.0
 *
 * progress.c: one line that is drawn anew.
 */
#include "jobs/progress.h"

#include <string.h>
#include <unistd.h>

#define BAR 30
#define LINE_EVERY_MS 10000 /* where nobody watches, a line in ten seconds is enough */

void progress_start(struct progress *p, int64_t now_ms)
{
	*p = (struct progress){ .terminal = isatty(STDERR_FILENO), .told_ms = now_ms, .told = -1 };
}

void progress_show(struct progress *p, int64_t done, int64_t total, const char *detail, int64_t now_ms)
{
	int full = total > 0 ? (int)(done * BAR / total) : 0;
	char bar[BAR + 1];

	if (!p->terminal) {
		if (now_ms - p->told_ms < LINE_EVERY_MS || done == p->told)
			return;
		p->told_ms = now_ms;
		p->told = done;
		fprintf(stderr, "%lld of %lld%s%s\n", (long long)done, (long long)total,
			*detail ? ": " : "", detail);
		return;
	}
	memset(bar, '.', BAR);
	memset(bar, '#', (size_t)(full < 0 ? 0 : full > BAR ? BAR : full));
	bar[BAR] = '\0';
	fprintf(stderr, "\r[%s] %lld/%lld %.60s\033[K", bar, (long long)done, (long long)total, detail);
	fflush(stderr);
	p->drawn = true;
}

void progress_end(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
