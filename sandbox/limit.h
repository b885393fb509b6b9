/* SPDX-License-Identifier: Apache-2.0
 *
 * limit.h: how much a box may use: rlimits inside, a memory cgroup and a sampler outside.
 */
#ifndef SANDBOX_LIMIT_H
#define SANDBOX_LIMIT_H

#include "sandbox/box.h"
#include "sandbox/guard.h"
#include "sandbox/pen.h"
#include "sandbox/why.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define LIMIT_OPEN_FILES 256 /* of a process */

/* Tasks (processes and threads) that may exist at once. */
int64_t limit_tasks(const struct box_limits *l);

/* The rlimits of a program, at most LIMIT_RLIMITS. `own_users`: it runs in its own user namespace,
 * where counting tasks counts only its own. Pure. */
#define LIMIT_RLIMITS 8
struct limit_rlimit {
	int which;
	uint64_t soft, hard;
};
size_t limit_plan(
	struct limit_rlimit out[LIMIT_RLIMITS], const struct box_limits *l, bool own_users);

/* Bind the calling process to those that are the same for all boxes, which then inherit them. */
int limit_settle(struct why *w);

/* --- the memory cgroup, where one is granted --- */

#define LIMIT_CGROUPS_IDLE 8

struct limit_cgroups;
struct limit_cgroup {
	struct limit_cgroups *all;
	int dir, procs, events; /* -1: none; writing "0" to procs joins */
	int64_t bytes;          /* its limit now, 0: not set */
	long kills;             /* counted before this box */
	int64_t used_us;        /* the same of CPU time */
	bool frozen, last;
	char name[CGROUP_NAME_MAX];
};

/* Where cgroups may be made: found once. Used ones are kept for the next box. */
struct limit_cgroups {
	int parent; /* -1: nowhere */
	int version;
	unsigned made;
	struct limit_cgroup idle[LIMIT_CGROUPS_IDLE];
	int n_idle;
	struct pens pens;
	struct guard guard;
};
/* `all` must stay where it is until it is closed. */
void limit_cgroups_open(
	struct limit_cgroups *all, bool forks); /* `forks`: for boxes with processes */
void limit_cgroups_close(struct limit_cgroups *all);

/* One below the caller's own (v1) or beside it (v2), with no limit that counts yet. No failure is an
 * error: there is none then. */
void limit_cgroup_make(struct limit_cgroup *c, struct limit_cgroups *all);
void limit_cgroup_set(struct limit_cgroup *c, int64_t bytes);
/* For a box that was born in none and has used `used_us` of CPU time: make one, set its limit
 * and move everything below `init` into it. What it had allocated before stays uncounted there; the sampler
 * counts it. */
void limit_cgroup_enter(struct limit_cgroup *c, struct limit_cgroups *all, int64_t bytes, int proc,
	pid_t init, int64_t used_us);
/* Whether the kernel has killed in it for want of memory. */
bool limit_cgroup_starved(const struct limit_cgroup *c);
/* pen_make, with a guard for it. */
bool limit_pen_make(struct pen *p, struct limit_cgroups *all, int proc, pid_t init);
/* CPU time used in it; -1: it does not count. */
int64_t limit_cgroup_us(const struct limit_cgroup *c);
/* Stop all in it, or let it go on; false: this kernel or version cannot. */
bool limit_cgroup_freeze(struct limit_cgroup *c, bool freeze);
/* cgroup_yield, when it is not so yet. */
void limit_cgroup_yield(struct limit_cgroup *c, bool last);
/* All that were in it are dead. */
void limit_cgroup_drop(struct limit_cgroup *c);

/* --- the sampler --- */

struct limit_use {
	int64_t cpu_us;     /* of all, ended children included */
	int64_t memory_kib; /* anonymous, swapped and page tables; what is shared counts once */
	int64_t mapped_kib; /* address space of all together */
	int64_t tasks;
	int64_t processes;
	bool forgets; /* one that has children ignores their ends */
};

/* Whether this system lets us look: without that no limit on all processes together would hold.
 * `proc` is the open /proc. */
int limit_can_look(int proc, struct why *w);

/* What `init` and everything below it uses now; init itself is not counted. Beyond `enough_kib`
 * memory is asked for again in the dearer way that counts shared pages once. `crowd` remembers between the
 * looks at one box. */
struct crowd;
void limit_look(struct limit_use *u, int proc, pid_t init, int64_t enough_kib, struct crowd *crowd);

/* Stop everything below `init`, or let it go on. Gives how many were not yet stopped: a program that
 * starts processes meanwhile needs another round. */
int limit_hold(int proc, pid_t init);
void limit_release(int proc, pid_t init);

/* Where the kernel shares the processor out by sessions (autogroup, sched(7)), idle priority counts only among
 * those of one session: let the sessions of `init` and everything below it stand last, or (`!last`) as any. False:
 * not all of them, as the kernel takes only ten such wishes a second. */
bool limit_yield(int proc, pid_t init, bool last);

/* Which limit `u` is beyond, or BOX_REASON_EXITED when none. Pure. */
enum box_reason limit_judge(const struct limit_use *u, const struct box_limits *l);

#endif
