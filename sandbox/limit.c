/* SPDX-License-Identifier: Apache-2.0
 *
 * limit.c: rlimits and judging. The cgroup is in limit_cgroup.c, the sampler in limit_look.c.
 *
 * Who enforces what, and so can tell the reason:
 *	cpu        the launcher, every 20 ms over all processes; RLIMIT_CPU behind it
 *	memory     the cgroup where there is one, else the launcher; RLIMIT_DATA far behind it
 *	disk       the size of the tmpfs and RLIMIT_FSIZE (SIGXFSZ)
 *	processes  the launcher; RLIMIT_NPROC holds it exactly one above the limit, for that one is
 *	           what the launcher sees (in a user namespace; elsewhere only the launcher)
 * Limits that stand behind are wide on purpose: a program that hits one gets ENOMEM or EAGAIN,
 * which leaves no trace, and would end for a reason nobody could name.
 */
#include "sandbox/limit.h"

#include <string.h>

#define MIB INT64_C(1048576)
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Room between two looks of the sampler, so that it and not ENOMEM ends a box. */
#define DATA_ROOM (1024 * MIB)
/* Address space costs page tables, 1/512 of what is touched; Go and Java reserve a lot of it. */
#define ADDRESSES (256 * 1024 * MIB)
#define STACK (8 * MIB) /* fixed: it decides where mmap begins */

int64_t limit_tasks(const struct box_limits *l)
{
	return l->processes + l->threads - 1;
}

/* The same for every box, and no hindrance to its keeper. */
static const struct limit_rlimit always[] = {
	{ RLIMIT_STACK, STACK, STACK },
	{ RLIMIT_CORE, 1,
		1 }, /* 0 does not keep a core_pattern that is a pipe from being run; 1 does */
	{ RLIMIT_MEMLOCK, 0, 0 },
	{ RLIMIT_MSGQUEUE, 0, 0 },
	{ RLIMIT_NICE, 0, 0 },
	{ RLIMIT_RTPRIO, 0, 0 },
	{ RLIMIT_SIGPENDING, 64, 64 },
};

/* A limit that already is lower stays so: only root may raise it. */
static int bound(struct limit_rlimit *l)
{
	struct rlimit now;

	if (getrlimit(l->which, &now))
		return -1;
	if (l->hard > now.rlim_max)
		l->hard = now.rlim_max;
	if (l->soft > l->hard)
		l->soft = l->hard;
	return 0;
}

int limit_settle(struct why *w)
{
	for (size_t i = 0; i < LEN(always); i++) {
		struct limit_rlimit l = always[i];
		struct rlimit set;

		if (bound(&l) == 0) {
			set.rlim_cur = l.soft;
			set.rlim_max = l.hard;
			if (setrlimit(l.which, &set) == 0)
				continue;
		}
		return why_sys(w, "rlimits: number %d", l.which);
	}
	return 0;
}

size_t limit_plan(
	struct limit_rlimit out[LIMIT_RLIMITS], const struct box_limits *l, bool own_users)
{
	uint64_t cpu = (uint64_t)l->cpu_s + 1, disk = (uint64_t)(l->disk_mib * MIB);
	uint64_t tasks = (uint64_t)limit_tasks(l) + 2; /* the init, and one too many */
	uint64_t data = (uint64_t)(2 * l->memory_mib * MIB + DATA_ROOM);
	const struct limit_rlimit all[] = {
		{ RLIMIT_CPU, cpu, cpu + 1 },
		{ RLIMIT_DATA, data, data },
		{ RLIMIT_AS, ADDRESSES + data, ADDRESSES + data },
		{ RLIMIT_FSIZE, disk, disk },
		{ RLIMIT_NOFILE, LIMIT_OPEN_FILES, LIMIT_OPEN_FILES },
		/* last, for it is left out where it would count the user's other processes */
		{ RLIMIT_NPROC, tasks, tasks },
	};
	size_t n = LEN(all) - (own_users ? 0 : 1);

	_Static_assert(LEN(all) <= LIMIT_RLIMITS, "the plan fits");
	memcpy(out, all, n * sizeof(*out));
	return n;
}

enum box_reason limit_judge(const struct limit_use *u, const struct box_limits *l)
{
	if (u->cpu_us > l->cpu_s * 1000000)
		return BOX_REASON_CPU;
	if (u->memory_kib > l->memory_mib * 1024)
		return BOX_REASON_MEMORY;
	if (u->tasks > limit_tasks(l))
		return BOX_REASON_PROCESSES;
	return BOX_REASON_EXITED;
}
