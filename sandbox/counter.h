/* SPDX-License-Identifier: Apache-2.0
 *
 * counter.h: CPU time of processes and of all that they start, counted by the kernel's perf events: also
 * of those whose parents ignore their end.
 */
#ifndef SANDBOX_COUNTER_H
#define SANDBOX_COUNTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Threads that are there when counting begins: each costs a descriptor. */
#define COUNTER_MAX 32

struct counter {
	int fds[COUNTER_MAX];
	size_t n; /* 0: it does not count */
};

/* Count `tids`, threads of whatever processes, and what they start from now on. False: the system does not
 * let us (perf_event_paranoid). */
bool counter_start(struct counter *c, const pid_t *tids, size_t n);
/* Since then; -1 when it does not count. */
int64_t counter_us(const struct counter *c);
void counter_stop(struct counter *c);

#endif
