/* SPDX-License-Identifier: Apache-2.0
 *
 * limit.h: limits that only somebody outside can hold: a memory cgroup where one may be made, and a
 * sampler that adds up all processes of the box.
 */
#ifndef SANDBOX_LIMIT_H
#define SANDBOX_LIMIT_H

#include <sys/types.h>

#include "sandbox/spec.h"

struct cgroup {
	char dir[512]; /* "" when there is none */
	bool v2;
};

/* Try to make a memory cgroup bounded to `mib`. No permission is no error: dir stays empty. */
void cgroup_make(struct cgroup *g, int64_t mib);
/* Put `pid` into it; a cgroup that does not take it is removed again. */
void cgroup_enter(struct cgroup *g, pid_t pid);
/* Whether the kernel ended something in it for want of memory. */
bool cgroup_hit(const struct cgroup *g);
void cgroup_remove(struct cgroup *g);

/* The sum over `init`'s descendants (not itself). */
struct sample {
	int64_t cpu_us, memory_kib;
	int processes;
};
void sample_take(struct sample *s, pid_t init);

#endif
