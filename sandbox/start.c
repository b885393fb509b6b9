/* SPDX-License-Identifier: Apache-2.0
 *
 * start.c: see start.h. Raw system calls only: until the exec this process shares the keeper's memory
 * and the init's descriptors. What depends on the task alone is set on it by the init meanwhile.
 *
 * The order is from wide to narrow: what needs a system call that a later layer takes away comes
 * first, the filter last. Descriptors then are: 0, 1, 2 its streams; 3 the program (the policy names
 * that number) and all others closed by the exec.
 */
#include "sandbox/start.h"

#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/plan.h"
#include "sandbox/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KERNEL_SIGSET 8 /* bytes */

/* What the keeper has blocked; it ignores none (place.c). */
static long unblock_signals(void)
{
	uint64_t none = 0;

	return raw4(SYS_rt_sigprocmask, SIG_SETMASK, RAW(&none), 0, KERNEL_SIGSET);
}

/* Only matters where no pid namespace ends with the init; the filter forbids undoing it. */
static long die_with_init(const struct plan *p)
{
	long rc;

	if (p->told.layers & BOX_BIT(PIDNS))
		return 0;
	rc = raw2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
	return rc < 0 || raw0(SYS_getppid) == p->parent ? rc : -ESRCH; /* it came too late */
}

static int pin(struct plan *p)
{
	raw1(SYS_umask, 022);
	if (p->deterministic &&
		plan_fails(p, STEP_ADDRESSES, 0, raw1(SYS_personality, ADDR_NO_RANDOMIZE)))
		return -1;
	if (p->profile == BOX_COMPUTE)
		return 0;
	return plan_fails(p, STEP_FOLDER, 0, raw1(SYS_chdir, RAW("/tmp")));
}

/* Not required: the sampler outside stands in for it. */
static void join_cgroup(struct plan *p)
{
	int procs = p->ahead ? p->procs : p->has_procs ? PLAN_PROCS : -1;

	if (procs >= 0 && raw3(SYS_write, procs, RAW("0"), 1) == 1)
		p->told.layers |= BOX_BIT(CGROUP);
}

static long drop_capabilities(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	return raw2(SYS_capset, RAW(&head), RAW(none));
}

static const struct {
	const char *path;
	enum landlock_use use;
	enum { ALWAYS, ROOTED, WITH_PROC } when;
} places[] = {
	{ "/", LANDLOCK_LIVE, ROOTED },
	{ "/in", LANDLOCK_READ, ALWAYS },
	{ "/out", LANDLOCK_OWN, ALWAYS },
	{ "/tmp", LANDLOCK_OWN, ALWAYS },
	{ "/dev/null", LANDLOCK_DEVICE, ALWAYS },
	/* not to be written: a shared mapping of it would be memory that nobody counts */
	{ "/dev/zero", LANDLOCK_READ, ALWAYS },
	{ "/dev/urandom", LANDLOCK_READ, ALWAYS },
	{ "/proc", LANDLOCK_READ, WITH_PROC },
};

/* The program itself is the one thing that `compute` may reach: to be executed. An image's is a file of the root. */
static int bind_landlock(struct plan *p)
{
	int program = p->ahead ? p->rule : PLAN_PROGRAM;
	struct landlock_place list[LEN(places) + 1] = { { program, LANDLOCK_RUN } };
	size_t n = p->profile != BOX_IMAGE;
	long rc;

	for (size_t i = 0; p->profile != BOX_COMPUTE && i < LEN(places); i++) {
		if ((places[i].when == ROOTED && !p->has_root) ||
			(places[i].when == WITH_PROC && !(p->bits & BOX_PROC)))
			continue;
		list[n].fd =
			(int)raw4(SYS_openat, AT_FDCWD, RAW(places[i].path), O_PATH | O_CLOEXEC, 0);
		list[n].use = places[i].use;
		if (list[n].fd >= 0)
			n++;
	}
	rc = landlock_bind(list, n);
	while (n-- > 0) {
		if (list[n].fd != program)
			raw1(SYS_close, list[n].fd);
	}
	return plan_fails(p, rc == -EOPNOTSUPP ? STEP_LANDLOCK_NONE : STEP_LANDLOCK, 0, rc);
}

/* The keeper made the usual one. Where a layer is missing the program has another number, or stands in
 * the host's root. */
static int bind_filter(struct plan *p)
{
	const unsigned usual = BOX_BIT(PIDNS) | BOX_BIT(MOUNTNS);
	struct filter_plan f = { p->profile, (p->told.layers & usual) == usual, p->seeded, 0,
		(p->bits & BOX_JIT) != 0 };

	if ((p->told.layers & usual) != usual) {
		f.self = (pid_t)raw0(SYS_getpid);
		filter_make(&p->filter, &f);
	}
	return plan_fails(p, STEP_SECCOMP, 0, filter_bind(&p->filter, p->seeded, &p->listener));
}

static int bind_all(struct plan *p)
{
	join_cgroup(p);
	if (plan_fails(p, STEP_SIGNALS, 0, unblock_signals()) ||
		plan_fails(p, STEP_DEATH, 0, die_with_init(p)) || pin(p) ||
		plan_fails(p, STEP_CAPABILITIES, 0, drop_capabilities()) ||
		plan_fails(p, STEP_PRIVILEGES, 0, raw5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
		return -1;
	return bind_landlock(p) || bind_filter(p) ? -1 : 0;
}

/* The filter lets it wait so, and execute. */
static void wait_to_go(struct plan *p)
{
	__atomic_store_n(&p->stage, STAGE_BOUND, __ATOMIC_RELEASE);
	if (p->ahead)
		raw3(SYS_futex, RAW(&p->stage), FUTEX_WAKE, 1);
	while (!__atomic_load_n(&p->go, __ATOMIC_ACQUIRE))
		raw4(SYS_futex, RAW(&p->go), FUTEX_WAIT, 0, 0);
}

/* --- a program of an image ---------------------------------------------------------------------------- */

/* What an image alone decides is no failure of the box: every machine comes to the same end, and the
 * codes are those that shells give. */
static const struct {
	int error, code;
	const char *text;
} ends[] = {
	{ ENOENT, 127, "not in the image, or its interpreter is not" },
	{ ENOTDIR, 127, "not in the image: a folder of its path is none" },
	{ ENAMETOOLONG, 127, "not in the image: its path is too long" },
	{ ELOOP, 127, "not in the image: its path has too many symbolic links" },
	{ EACCES, 126, "in the image, but not executable" },
	{ ENOEXEC, 126, "in the image, but no program for this machine" },
	{ EINVAL, 126, "in the image, but no program for this machine" },
	{ ELIBBAD, 126, "in the image, but its interpreter is no program" },
};

/* Which it is, or -1: none, it is the machine's. */
static int end_of(long rc)
{
	for (size_t i = 0; i < LEN(ends); i++) {
		if (rc == -ends[i].error)
			return (int)i;
	}
	return -1;
}

static long say(const char *text)
{
	return raw3(SYS_write, 2, RAW(text), (long)strlen(text));
}

/* Nobody reads its standard error: that is its affair. Else it is told like what a program says. */
static void end_as(const char *what, const char *name, const char *text, int code)
{
	say("talkoot-sandbox: ");
	say(what);
	say(name);
	say(": ");
	say(text);
	say("\n");
	raw1(SYS_exit_group, code);
}

/* As execvp(3): what is not there or may not be executed is looked for further on, and the latter is told. */
static long execute_first(const struct plan *p)
{
	long rc = -ENOENT, denied = 0;

	for (char **at = p->tries; *at; at++) {
		rc = raw3(SYS_execve, RAW(*at), RAW(p->argv), RAW(p->env.words));
		if (rc == -EACCES)
			denied = rc;
		else if (end_of(rc) < 0 || ends[end_of(rc)].code != 127)
			return rc;
	}
	return denied ? denied : rc;
}

static void start_in_image(struct plan *p)
{
	long rc = raw1(SYS_chdir, RAW(p->cwd));
	int end = end_of(rc);

	if (end >= 0)
		end_as("--cwd ", p->cwd, "no folder of the image", 127);
	if (plan_fails(p, STEP_CWD, 0, rc))
		return;
	rc = execute_first(p);
	end = end_of(rc);
	if (end >= 0)
		end_as("PROGRAM ", p->argv[0], ends[end].text, ends[end].code);
	plan_fails(p, STEP_EXEC, 0, rc);
}

/* ------------------------------------------------------------------------------------------------------- */

_Noreturn void start_program(void *plan)
{
	struct plan *p = plan;

	if (bind_all(p) == 0) {
		wait_to_go(p);
		p->told.started = true;
		if (p->profile == BOX_IMAGE)
			start_in_image(p);
		else
			plan_fails(p, STEP_EXEC, 0,
				raw5(SYS_execveat, PLAN_PROGRAM, RAW(""), RAW(p->argv),
					RAW(p->env.words), AT_EMPTY_PATH));
	}
	for (;;)
		raw1(SYS_exit_group, BOX_EXIT_SETUP);
}
