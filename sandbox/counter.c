/* SPDX-License-Identifier: Apache-2.0
 *
 * counter.c: see counter.h; perf_event_open(2). The only file that knows perf events.
 *
 * The first event on a machine costs milliseconds (the kernel rewrites its own code for it), later ones
 * some microseconds: so this is begun when a box is first looked at, not while it is started. A child that
 * is made between the listing of `tids` and here is not counted: crowd.h still is.
 */
#include "sandbox/counter.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_one(pid_t pid)
{
	struct perf_event_attr a = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(a),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.inherit = 1,
		.exclude_kernel =
			1, /* as an ordinary user must say; this event counts all the same */
		.exclude_hv = 1,
	};

	return (int)syscall(SYS_perf_event_open, &a, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

bool counter_start(struct counter *c, const pid_t *tids, size_t n)
{
	for (size_t i = 0; i < n && c->n < COUNTER_MAX; i++) {
		int fd = open_one(tids[i]);

		if (fd >= 0)
			c->fds[c->n++] = fd;
	}
	return c->n > 0;
}

int64_t counter_us(const struct counter *c)
{
	int64_t us = 0;
	uint64_t ns;

	for (size_t i = 0; i < c->n; i++) {
		if (read(c->fds[i], &ns, sizeof(ns)) == sizeof(ns))
			us += (int64_t)(ns / 1000);
	}
	return c->n > 0 ? us : -1;
}

void counter_stop(struct counter *c)
{
	while (c->n > 0)
		close(c->fds[--c->n]);
}
