/* SPDX-License-Identifier: Apache-2.0
 *
 * limit.h: how much a box may use: rlimits inside, a memory cgroup and a sampler outside.
 */
#ifndef SANDBOX_LIMIT_H
#define SANDBOX_LIMIT_H

#include "sandbox/box.h"
#include "sandbox/why.h"

#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Tasks (processes and threads) that may exist at once. */
int64_t limit_tasks(const struct box_limits *l);

/* The rlimits of a program: pairs (which, value) in `out`, at most LIMIT_RLIMITS. `own_users`: it
 * runs in its own user namespace, where counting tasks counts only its own. Pure. */
#define LIMIT_RLIMITS 16
struct limit_rlimit {
	int which;
	rlim_t soft, hard;
};
size_t limit_plan(
	struct limit_rlimit out[LIMIT_RLIMITS], const struct box_limits *l, bool own_users);

/* Bind the calling process (and what it starts) to them. */
int limit_bind(const struct box_limits *l, bool own_users, struct why *w);

/* Whether a process of ours at its limit of tasks is refused one more; the kernel exempts root. */
int limit_prove(struct why *w);

/* --- the memory cgroup, where one is granted --- */

struct limit_cgroup {
	int parent, dir, procs; /* -1: none */
	char name[48];
	int version;
};

/* Make one below the caller's own (v1) or beside it (v2) for `bytes`. No failure is an error. */
void limit_cgroup_make(struct limit_cgroup *c, int64_t bytes);
bool limit_cgroup_join(struct limit_cgroup *c, pid_t pid);
/* Whether the kernel has killed in it for want of memory. */
bool limit_cgroup_starved(const struct limit_cgroup *c);
void limit_cgroup_remove(struct limit_cgroup *c);

/* --- the sampler --- */

struct limit_use {
	int64_t cpu_us;     /* of all, ended children included */
	int64_t memory_kib; /* anonymous, swapped and page tables; what is shared counts once */
	int64_t tasks;
	int64_t processes;
};

/* Whether this system lets us look: without that no limit on all processes together would hold. */
int limit_can_look(struct why *w);

/* What `init` and everything below it uses now; init itself is not counted as a task. Beyond
 * `enough_kib` memory is asked for again in the dearer way that counts shared pages once. */
void limit_look(struct limit_use *u, pid_t init, int64_t enough_kib);

/* Which limit `u` is beyond, or BOX_REASON_EXITED when none. Pure. */
enum box_reason limit_judge(const struct limit_use *u, const struct box_limits *l);

#endif
