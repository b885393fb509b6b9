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

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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

size_t limit_plan(
	struct limit_rlimit out[LIMIT_RLIMITS], const struct box_limits *l, bool own_users)
{
	rlim_t cpu = (rlim_t)l->cpu_s + 1, disk = (rlim_t)(l->disk_mib * MIB);
	rlim_t tasks = (rlim_t)limit_tasks(l) + 2; /* the init, and one too many */
	rlim_t data = (rlim_t)(2 * l->memory_mib * MIB + DATA_ROOM);
	const struct limit_rlimit all[] = {
		{ RLIMIT_CPU, cpu, cpu + 1 },
		{ RLIMIT_DATA, data, data },
		{ RLIMIT_AS, ADDRESSES + data, ADDRESSES + data },
		{ RLIMIT_FSIZE, disk, disk },
		{ RLIMIT_STACK, STACK, STACK },
		{ RLIMIT_CORE, 0, 0 },
		{ RLIMIT_NOFILE, 256, 256 },
		{ RLIMIT_MEMLOCK, 0, 0 },
		{ RLIMIT_MSGQUEUE, 0, 0 },
		{ RLIMIT_NICE, 0, 0 },
		{ RLIMIT_RTPRIO, 0, 0 },
		{ RLIMIT_SIGPENDING, 64, 64 },
		/* last, for it is left out where it would count the user's other processes */
		{ RLIMIT_NPROC, tasks, tasks },
	};
	size_t n = LEN(all) - (own_users ? 0 : 1);

	_Static_assert(LEN(all) <= LIMIT_RLIMITS, "the plan fits");
	for (size_t i = 0; i < n; i++)
		out[i] = all[i];
	return n;
}

/* A limit that already is lower stays so: only root may raise it. */
static int bind_one(const struct limit_rlimit *want)
{
	struct rlimit now, l = { want->soft, want->hard };

	if (getrlimit((__rlimit_resource_t)want->which, &now))
		return -1;
	if (l.rlim_max > now.rlim_max)
		l.rlim_max = now.rlim_max;
	if (l.rlim_cur > l.rlim_max)
		l.rlim_cur = l.rlim_max;
	return setrlimit((__rlimit_resource_t)want->which, &l);
}

int limit_bind(const struct box_limits *l, bool own_users, struct why *w)
{
	struct limit_rlimit plan[LIMIT_RLIMITS];
	size_t n = limit_plan(plan, l, own_users);

	for (size_t i = 0; i < n; i++) {
		if (bind_one(&plan[i]))
			return why_sys(w, "rlimits: number %d", plan[i].which);
	}
	return 0;
}

int limit_prove(struct why *w)
{
	struct rlimit saved, one = { 1, 0 };
	pid_t pid;

	if (getrlimit(RLIMIT_NPROC, &saved))
		return why_sys(w, "rlimits: reading");
	one.rlim_max = saved.rlim_max;
	if (setrlimit(RLIMIT_NPROC, &one))
		return why_sys(w, "rlimits: setting");
	pid = fork();
	if (pid == 0)
		_exit(0);
	if (setrlimit(RLIMIT_NPROC, &saved))
		return why_sys(w, "rlimits: setting");
	if (pid < 0)
		return 0;
	waitpid(pid, NULL, 0);
	return why_set(w, "rlimits: the limit on processes does not bind root here; start it as "
	                  "another user");
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
