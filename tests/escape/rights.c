/* SPDX-License-Identifier: Apache-2.0
 *
 * rights.c: other users, capabilities, prctl's options, a greater share of the machine. Nothing here
 * changes another process: priorities are asked for oneself.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- who one is ---------------------------------------------------------------------------- */

static void change_user(long id)
{
	uid_t to = id < 0 ? getuid() : (uid_t)id;

	/* bare calls: the library's make all threads follow, by signals */
	reached(syscall(SYS_setuid, to), "setuid");
	reached(syscall(SYS_setreuid, to, to), "setreuid");
	reached(syscall(SYS_setresuid, to, to, to), "setresuid");
	tried(syscall(SYS_setfsuid, to) >= 0, "setfsuid");
}

static void change_group(long id)
{
	gid_t to = id < 0 ? getgid() : (gid_t)id;

	reached(syscall(SYS_setgid, to), "setgid");
	reached(syscall(SYS_setregid, to, to), "setregid");
	reached(syscall(SYS_setresgid, to, to, to), "setresgid");
	tried(syscall(SYS_setfsgid, to) >= 0, "setfsgid");
}

static void change_groups(long n)
{
	gid_t none[1] = { 0 };

	(void)n;
	reached(syscall(SYS_setgroups, -1, none),
		"setgroups"); /* too many: looked at after the rights */
}

static void capabilities(long which)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct all[2];

	if (which == 0) {
		memset(all, 0, sizeof(all));
		tried(syscall(SYS_capset, &head, all) == 0, "capset to nothing");
	} else {
		tried(syscall(SYS_capget, &head, all) == 0 &&
				(all[0].effective || all[0].permitted),
			"capabilities");
	}
}

static void capset_some(long n)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct all[2] = { { ~0U, ~0U, 0 }, { 0x1ff, 0x1ff, 0 } },
				      one[2] = { { 1, 1, 0 } };

	(void)n;
	tried(syscall(SYS_capset, &head, all) == 0, "capset to all");
	tried(syscall(SYS_capset, &head, one) == 0, "capset to one");
}

/* --- prctl --------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned long a[5];
} options[] = {
	{ "PR_SET_DUMPABLE", { PR_SET_DUMPABLE, 1 } },
	{ "PR_SET_PDEATHSIG", { PR_SET_PDEATHSIG, 0 } },
	{ "PR_SET_PTRACER", { PR_SET_PTRACER, (unsigned long)-1 } },
	{ "PR_CAPBSET_DROP", { PR_CAPBSET_DROP, 21 } },
	{ "PR_SET_MM", { PR_SET_MM, 99, 0, 0, 0 } },
	{ "PR_SET_SECCOMP", { PR_SET_SECCOMP, 99 } },
	{ "PR_SET_SECUREBITS", { PR_SET_SECUREBITS, 0 } },
	{ "PR_SET_KEEPCAPS", { PR_SET_KEEPCAPS, 1 } },
	{ "PR_CAP_AMBIENT", { PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0 } },
	{ "PR_SET_CHILD_SUBREAPER", { PR_SET_CHILD_SUBREAPER, 1 } },
	{ "PR_SET_NO_NEW_PRIVS", { PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0 } },
	{ "PR_SET_TIMERSLACK", { PR_SET_TIMERSLACK, 1 } },
	{ "PR_SET_TSC", { PR_SET_TSC, PR_TSC_ENABLE } },
	{ "PR_SET_THP_DISABLE", { PR_SET_THP_DISABLE, 0, 0, 0, 0 } },
	{ "PR_SET_SPECULATION_CTRL", { PR_SET_SPECULATION_CTRL, 99, 0, 0, 0 } },
	{ "PR_MCE_KILL", { PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0 } },
	{ "PR_SET_IO_FLUSHER", { PR_SET_IO_FLUSHER, 1, 0, 0, 0 } },
	{ "PR_SCHED_CORE", { 62, 0, 0, 1, 0 } },
	{ "PR_SET_SYSCALL_USER_DISPATCH", { 59, 0, 0, 0, 0 } },
	{ "PR_TASK_PERF_EVENTS", { PR_TASK_PERF_EVENTS_ENABLE } },
	{ "PR_SET_MDWE", { 65, 0, 0, 0, 0 } },
};
enum {
	DUMPABLE,
	PDEATHSIG,
	PTRACER,
	CAPBSET,
	MM,
	SECCOMP,
	SECUREBITS,
	KEEPCAPS,
	AMBIENT,
	SUBREAPER,
	NNP,
	SLACK,
	TSC,
	THP,
	SPECULATION,
	MCE,
	FLUSHER,
	CORE,
	DISPATCH,
	PERF,
	MDWE
};

static void option(long which)
{
	const unsigned long *a = options[which].a;

	reached(prctl((int)a[0], a[1], a[2], a[3], a[4]), "%s", options[which].name);
}

/* --- a greater share ----------------------------------------------------------------------- */

static void be_nicer(long by)
{
	errno = 0;
	tried(setpriority(PRIO_PROCESS, 0, (int)by) == 0, "a priority of %ld", by);
}

/* Others of the same user: asked for the priority that they have, so nothing changes. */
static void renice_others(long n)
{
	int parent = getpriority(PRIO_PROCESS, (id_t)getppid());

	(void)n;
	reached(setpriority(PRIO_PROCESS, (id_t)getppid(), parent), "the parent's priority");
}

static void input_output_class(long class)
{
	tried(syscall(SYS_ioprio_set, 1, 0, class << 13 | 4) == 0, "I/O class %ld", class);
}

static void schedule(long policy)
{
	struct sched_param p = { .sched_priority =
					 policy == SCHED_FIFO || policy == SCHED_RR ? 1 : 0 };
	struct {
		unsigned size, policy;
		unsigned long flags;
		int nice;
		unsigned priority;
		unsigned long a, b, c;
	} attr = { 48, (unsigned)policy, 0, 0, (unsigned)p.sched_priority, 0, 0, 0 };

	tried(sched_setscheduler(0, (int)policy, &p) == 0, "policy %ld", policy);
	tried(syscall(SYS_sched_setattr, 0, &attr, 0) == 0, "policy %ld by sched_setattr", policy);
}

static void personality_of(long flags)
{
	tried(syscall(SYS_personality, flags) >= 0, "personality %#lx", flags);
}

static void affinity_of_parent(long n)
{
	cpu_set_t set;

	(void)n;
	/* an empty set is refused: EINVAL says that it was looked at, after the rights */
	CPU_ZERO(&set);
	tried(sched_setaffinity(getppid(), sizeof(set), &set) == 0 || errno == EINVAL,
		"the parent's processors");
}

static void limits_of_parent(long n)
{
	struct rlimit now;

	(void)n;
	tried(syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &now) == 0,
		"the parent's limits");
}

#define OPTION(name, which, bite, how)                                                             \
	{                                                                                          \
		name, option, which, BOTH, bite, how, NULL, NULL                                   \
	}
/* clang-format off: one a line */
const struct behaviour rights[] = {
	{ "user_root", change_user, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "user_itself", change_user, -1, BOTH, WEAK, 0, NULL, NULL },
	{ "group_root", change_group, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "group_itself", change_group, -1, BOTH, WEAK, 0, NULL, NULL },
	{ "groups", change_groups, 0, BOTH, ROOT, 0, NULL, NULL },
	{ "capset_nothing", capabilities, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "capset_some", capset_some, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "capget", capabilities, 1, BOTH, WEAK, 0, NULL, NULL },
	OPTION("prctl_dumpable", DUMPABLE, WEAK, 0),
	OPTION("prctl_pdeathsig", PDEATHSIG, WEAK, 0),
	OPTION("prctl_ptracer", PTRACER, WEAK, 0),
	OPTION("prctl_bounding_set", CAPBSET, WEAK, 0),
	OPTION("prctl_mm", MM, ROOT, MAY_LACK),
	OPTION("prctl_seccomp", SECCOMP, WEAK, 0),
	OPTION("prctl_securebits", SECUREBITS, WEAK, 0),
	OPTION("prctl_keepcaps", KEEPCAPS, WEAK, 0),
	OPTION("prctl_ambient", AMBIENT, WEAK, 0),
	OPTION("prctl_subreaper", SUBREAPER, WEAK, 0),
	OPTION("prctl_no_new_privs", NNP, WEAK, 0),
	OPTION("prctl_timer_slack", SLACK, WEAK, 0),
	OPTION("prctl_tsc", TSC, WEAK, 0),
	OPTION("prctl_huge_pages", THP, WEAK, 0),
	OPTION("prctl_speculation", SPECULATION, WEAK, 0),
	OPTION("prctl_mce", MCE, WEAK, 0),
	OPTION("prctl_io_flusher", FLUSHER, ROOT, MAY_LACK),
	OPTION("prctl_core_scheduling", CORE, WEAK, 0),
	OPTION("prctl_dispatch", DISPATCH, WEAK, 0),
	OPTION("prctl_perf", PERF, WEAK, 0),
	OPTION("prctl_mdwe", MDWE, WEAK, 0),
	{ "priority_raised", be_nicer, -5, BOTH, ROOT, 0, NULL, NULL },
	{ "priority_own", be_nicer, 1, BOTH, WEAK, 0, NULL, NULL },
	{ "priority_of_parent", renice_others, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "io_realtime", input_output_class, 1, BOTH, ROOT, 0, NULL, NULL },
	{ "io_best_effort", input_output_class, 2, BOTH, WEAK, 0, NULL, NULL },
	{ "schedule_fifo", schedule, SCHED_FIFO, BOTH, ROOT, MAY_LACK, NULL, NULL },
	{ "schedule_round_robin", schedule, SCHED_RR, BOTH, ROOT, MAY_LACK, NULL, NULL },
	{ "schedule_batch", schedule, SCHED_BATCH, BOTH, WEAK, 0, NULL, NULL },
	{ "personality_read_implies_exec", personality_of, 0x0400000, BOTH, WEAK, 0, NULL, NULL },
	{ "personality_no_random", personality_of, 0x0040000, BOTH, WEAK, 0, NULL, NULL },
	{ "affinity_of_parent", affinity_of_parent, 0, COMPUTE, WEAK, 0, NULL, NULL },
	{ "limits_of_parent", limits_of_parent, 0, BOTH, WEAK, 0, NULL, NULL },
	{ NULL },
};
