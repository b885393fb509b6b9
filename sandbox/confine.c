/* SPDX-License-Identifier: Apache-2.0
 *
 * confine.c: descriptors, limits, environment, Landlock, the filter, exec; in this order.
 *
 * Every step must succeed: there is no "best effort" here. Landlock is asked for all that this kernel's
 * version knows; version 1 (Linux 5.13) is the least.
 */
#include "sandbox/confine.h"
#include "sandbox/filter.h"
#include "sandbox/reap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <unistd.h>

#define MIB (1024 * 1024LL)
#define OPEN_FILES 256

/* --- limits ------------------------------------------------------------------------------------ */

static int limit(int which, rlim_t soft, rlim_t hard, const char *name, struct fail *f)
{
	struct rlimit l = { soft, hard }, now;

	if (!getrlimit((__rlimit_resource_t)which, &now) && now.rlim_max != RLIM_INFINITY) {
		if (l.rlim_max > now.rlim_max)
			l.rlim_max = now.rlim_max;
		if (l.rlim_cur > l.rlim_max)
			l.rlim_cur = l.rlim_max;
	}
	return setrlimit((__rlimit_resource_t)which, &l) ? fail_sys(f, "layer rlimits: %s", name) : 0;
}

/* RLIMIT_DATA stands at twice the memory limit, behind whoever watches the sum (cgroup or sampler), and not
 * RLIMIT_AS: Go and Java reserve much more than they use. NPROC counts per user namespace; the init is one. */
static int set_limits(const struct space *s, const struct spec *spec, struct fail *f)
{
	const struct box_limits *l = &spec->limits;
	rlim_t memory = (rlim_t)(l->memory_mib * MIB), disk = (rlim_t)(l->disk_mib * MIB);
	rlim_t output = (rlim_t)((l->max_output_mib + 1) * MIB), cpu = (rlim_t)l->cpu_s;
	rlim_t tasks = (rlim_t)(l->processes + l->threads + 2);

	if (limit(RLIMIT_CORE, 0, 0, "core", f) || limit(RLIMIT_CPU, cpu, cpu + 1, "cpu", f) ||
		limit(RLIMIT_DATA, 2 * memory, 2 * memory, "data", f) ||
		limit(RLIMIT_STACK, 8 * MIB, 64 * MIB, "stack", f) ||
		limit(RLIMIT_FSIZE, disk > output ? disk : output, disk > output ? disk : output, "file size", f) ||
		limit(RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES, "open files", f) ||
		limit(RLIMIT_MEMLOCK, 0, 0, "locked memory", f) ||
		limit(RLIMIT_MSGQUEUE, 0, 0, "message queues", f) || limit(RLIMIT_NICE, 0, 0, "nice", f) ||
		limit(RLIMIT_RTPRIO, 0, 0, "real-time priority", f) ||
		limit(RLIMIT_SIGPENDING, 64, 64, "pending signals", f))
		return -1;
	/* outside a user namespace the count would be the volunteer's own; compute cannot fork anyway */
	return s->user ? limit(RLIMIT_NPROC, tasks, tasks, "processes", f) : 0;
}

static int drop_privileges(const struct space *s, struct fail *f)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (s->user)
		for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
			if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
				return fail_sys(f, "dropping capability %d", cap);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) || syscall(SYS_capset, &head, none))
		return fail_sys(f, "dropping capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail_sys(f, "no_new_privs");
	return 0;
}

/* --- Landlock ---------------------------------------------------------------------------------- */

/* The kernel's structs, whole: Debian 12's header has only their first member. */
struct ruleset {
	uint64_t fs, net, scoped;
};
struct beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

#define FS_EXECUTE (1u << 0)
#define FS_WRITE_FILE (1u << 1)
#define FS_READ_FILE (1u << 2)
#define FS_READ_DIR (1u << 3)
#define FS_REMOVE_DIR (1u << 4)
#define FS_REMOVE_FILE (1u << 5)
#define FS_MAKE_DIR (1u << 7)
#define FS_MAKE_REG (1u << 8)
#define FS_MAKE_FIFO (1u << 10)
#define FS_MAKE_SYM (1u << 12)
#define FS_REFER (1u << 13)
#define FS_TRUNCATE (1u << 14)

/* What each version handles: file system rights (all bits below), network, scopes. */
static const struct ruleset versions[] = {
	{ 0, 0, 0 }, { (1u << 13) - 1, 0, 0 }, { (1u << 14) - 1, 0, 0 }, { (1u << 15) - 1, 0, 0 },
	{ (1u << 15) - 1, 3, 0 }, { (1u << 16) - 1, 3, 0 }, { (1u << 16) - 1, 3, 3 },
};
#define VERSION_MAX ((int)(sizeof(versions) / sizeof(versions[0])) - 1)

int confine_landlock(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	return version < 0 ? 0 : version > VERSION_MAX ? VERSION_MAX : (int)version;
}

/* A program that lies in no file system (a memfd) needs no rule: EBADFD. */
static int allow(int ruleset, int fd, uint64_t rights, const char *what, struct fail *f)
{
	struct beneath rule = { rights, fd };

	if (fd < 0 || (syscall(SYS_landlock_add_rule, ruleset, 1, &rule, 0) && errno != EBADFD))
		return fail_sys(f, "layer landlock: allowing %s", what);
	return 0;
}

static int allow_path(int ruleset, const char *path, uint64_t rights, struct fail *f)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	int bad = allow(ruleset, fd, rights, path, f);

	if (fd >= 0)
		close(fd);
	return bad;
}

static int set_landlock(const struct space *s, const struct spec *spec, struct fail *f)
{
	const struct ruleset *all = &versions[confine_landlock()];
	uint64_t read = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR;
	uint64_t write = (FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR |
				 FS_MAKE_REG | FS_MAKE_FIFO | FS_MAKE_SYM | FS_REFER | FS_TRUNCATE) &
		all->fs;

	if (!all->fs)
		return fail_set(f, BOX_EXIT_NOT_STARTED, "layer landlock is missing: this kernel has none");
	int fd = (int)syscall(SYS_landlock_create_ruleset, all, sizeof(*all), 0);
	if (fd < 0) /* an older kernel knows a shorter struct */
		fd = (int)syscall(SYS_landlock_create_ruleset, all, sizeof(all->fs), 0);
	if (fd < 0)
		return fail_sys(f, "layer landlock");
	if (allow(fd, s->program, FS_EXECUTE | FS_READ_FILE, "the program", f))
		return -1;
	if (spec->profile == BOX_FILES && (allow_path(fd, "/", read, f) || allow_path(fd, "/out", write, f) ||
						  allow_path(fd, "/tmp", write, f)))
		return -1;
	if (syscall(SYS_landlock_restrict_self, fd, 0))
		return fail_sys(f, "layer landlock: restricting");
	close(fd);
	return 0;
}

/* --- what it sees ------------------------------------------------------------------------------ */

#define ENV_MAX 24

struct environment {
	const char *at[ENV_MAX + 1];
	char threads[40], openblas[40], gomaxprocs[40];
};

/* Built from nothing. Under `deterministic` the usual libraries' choice of code by CPU is pinned to what every
 * x86-64 has: libm alone differs in one result of 1,500 between machines with and without FMA. */
static void make_environment(struct environment *e, const struct spec *spec)
{
	static const char *const always[] = { "LANG=C", "LC_ALL=C", "TZ=UTC0", "HOME=/tmp", "TMPDIR=/tmp",
		"PATH=/usr/local/bin:/usr/bin:/bin", "USER=talkoot", "LOGNAME=talkoot" };
	static const char *const pinned[] = { "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F,-AVX512VL,-FMA4",
		"OPENBLAS_CORETYPE=Nehalem", "NPY_DISABLE_CPU_FEATURES=AVX2 FMA3 AVX512F AVX512CD AVX512_SKX",
		"PYTHONHASHSEED=0", "MALLOC_ARENA_MAX=1", "OMP_DYNAMIC=false" };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		e->at[n++] = always[i];
	for (size_t i = 0; spec->limits.deterministic && i < sizeof(pinned) / sizeof(pinned[0]); i++)
		e->at[n++] = pinned[i];
	snprintf(e->threads, sizeof(e->threads), "OMP_NUM_THREADS=%lld", (long long)spec->limits.threads);
	snprintf(e->openblas, sizeof(e->openblas), "OPENBLAS_NUM_THREADS=%lld", (long long)spec->limits.threads);
	snprintf(e->gomaxprocs, sizeof(e->gomaxprocs), "GOMAXPROCS=%lld", (long long)spec->limits.threads);
	e->at[n++] = e->threads;
	e->at[n++] = e->openblas;
	e->at[n++] = e->gomaxprocs;
	e->at[n] = NULL;
}

#define TALK_FD 3
#define PROGRAM_FD 4

/* 0, 1, 2 for the program, 3 and 4 until it is executed, and nothing else. */
static int set_descriptors(struct space *s, const struct stdio *io, int *talk, struct fail *f)
{
	int from[] = { io->in, io->out, io->err, *talk, s->program };

	for (int i = 0; i < 5; i++)
		if ((from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 10)) < 0)
			return fail_sys(f, "moving descriptors");
	*talk = from[3];
	for (int i = 0; i < 5; i++)
		if (dup3(from[i], i, i < TALK_FD ? 0 : O_CLOEXEC) != i)
			return fail_sys(f, "passing descriptor %d", i);
	*talk = TALK_FD;
	s->program = PROGRAM_FD;
	return syscall(SYS_close_range, PROGRAM_FD + 1u, ~0u, 0) ? fail_sys(f, "closing descriptors") : 0;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* All steps in order; the filter last, since it forbids the others. */
static int confine(struct space *s, const struct spec *spec, const struct stdio *io, int *talk, struct fail *f)
{
	if (!s->pid && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return fail_sys(f, "dying with the box");
	if (set_descriptors(s, io, talk, f))
		return -1;
	if (spec->limits.deterministic && personality(ADDR_NO_RANDOMIZE) < 0)
		return fail_sys(f, "fixing addresses");
	umask(022);
	reset_signals();
	if (set_limits(s, spec, f) || drop_privileges(s, f) || set_landlock(s, spec, f))
		return -1;
	return filter_install(spec->profile, s->pid ? 0 : getpid()) ? fail_sys(f, "layer seccomp") : 0;
}

void confine_exec(const struct space *space, const struct spec *spec, const struct stdio *io, int talk)
{
	struct space s = *space;
	struct note note = { .kind = NOTE_FAIL };
	struct environment e;
	char *slash = strrchr(spec->argv[0], '/');

	make_environment(&e, spec);
	if (slash)
		spec->argv[0] = slash + 1;
	if (!confine(&s, spec, io, &talk, &note.fail)) {
		syscall(SYS_execveat, s.program, "", spec->argv, e.at, AT_EMPTY_PATH);
		fail_sys(&note.fail, "executing %.200s", spec->argv[0]);
	}
	if (write(talk, &note, sizeof(note)) != sizeof(note))
		_exit(BOX_EXIT_USAGE); /* init's record then says that nothing ran */
	_exit(BOX_EXIT_NOT_STARTED);
}
