/* SPDX-License-Identifier: Apache-2.0
 *
 * resources.c: more memory, disk, time, output and processes than was granted.
 *
 * What uses up memory holds it for a second before it says that it got it, so that a box that
 * only looks from time to time has its chance. Amounts are the smallest that are well beyond the
 * row's options: at most 200 MiB, 40 processes, 4 seconds.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024)
#define HOLD_MS 1000
#define WALL_MS 3000 /* rows of the wall limit run with --wall 1 */

/* --- memory -------------------------------------------------------------------------------- */

static void mem_one(long mib)
{
	touch((size_t)mib);
	hold(HOLD_MS);
	broke("%ld MiB", mib);
}

static void mem_forked(long children)
{
	for (long i = 0; i < children; i++) {
		if (fork() == 0) {
			touch(25);
			hold(2 * HOLD_MS);
			_exit(0);
		}
	}
	hold(HOLD_MS);
	for (long i = 0; i < children; i++)
		wait(NULL);
	broke("%ld children of 25 MiB", children);
}

static void mem_brk(long mib)
{
	char *at = (char *)syscall(SYS_brk, 0);

	if (syscall(SYS_brk, at + mib * MIB) != (long)(at + mib * MIB)) {
		tried(false, "brk");
		return;
	}
	memset(at, 1, (size_t)(mib * MIB));
	hold(HOLD_MS);
	broke("%ld MiB of brk", mib);
}

/* Reading maps the page of zeros: no memory but that of the page tables. */
static void mem_page_tables(long mib)
{
	size_t step = 2 * (size_t)MIB, n = (size_t)mib * 256; /* a table of 4 KiB for each 2 MiB */
	volatile char *p =
		mmap(NULL, n * step, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	long sum = 0;

	if (p == MAP_FAILED) {
		tried(false, "reserving");
		return;
	}
	for (size_t i = 0; i < n; i++)
		sum += p[i * step];
	hold(HOLD_MS);
	broke("%ld MiB of page tables%s", mib, sum ? "!" : "");
}

static void mem_mapped(long flags)
{
	size_t size = 160 * (size_t)MIB;
	char *p = mmap(NULL, 4 * size, PROT_READ | PROT_WRITE,
		(int)flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		tried(false, "mapping");
		return;
	}
	memset(p, 1, size);
	hold(HOLD_MS);
	broke("160 MiB of a larger mapping");
}

/* A shared mapping of a file in /tmp is memory and disk. */
static void mem_mapped_file(long mib)
{
	int fd = open("/tmp/mapped", O_RDWR | O_CREAT, 0600);
	char *p;

	if (fd < 0 || ftruncate(fd, mib * MIB)) {
		tried(false, "a file of %ld MiB", mib);
		return;
	}
	p = mmap(NULL, (size_t)(mib * MIB), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		tried(false, "mapping it");
		return;
	}
	memset(p, 1, (size_t)(mib * MIB));
	hold(HOLD_MS);
	broke("%ld MiB of a mapped file", mib);
}

static void mem_memfd(long mib)
{
	static char block[MIB];
	int fd = (int)syscall(SYS_memfd_create, "x", 0);

	for (long i = 0; fd >= 0 && i < mib; i++) {
		if (write(fd, block, sizeof(block)) != sizeof(block))
			fd = -1;
	}
	if (fd >= 0)
		hold(HOLD_MS);
	tried(fd >= 0, "%ld MiB in a memfd", mib);
}

/* A shared mapping of this device is memory without a name, which no limit of a process counts. */
static void mem_shared_device(long mib)
{
	int fd = open("/dev/zero", O_RDWR);
	volatile char *at;

	if (!tried(fd >= 0, "/dev/zero for writing"))
		return;
	at = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return;
	for (long i = 0; i < mib << 20; i += 4096)
		at[i] = 1;
	broke("%ld MiB of shared memory", mib);
}

static void mem_dev_shm(long mib)
{
	int fd = open("/dev/shm/talkoot-escape", O_RDWR | O_CREAT, 0600);

	(void)mib;
	unlink("/dev/shm/talkoot-escape");
	tried(fd >= 0, "a file in /dev/shm");
}

static long deep(long left)
{
	volatile char frame[60 * 1024];

	frame[0] = frame[sizeof(frame) - 1] = 1;
	return left > 0 ? deep(left - 1) + frame[0] : 0;
}

static void stack_deep(long mib)
{
	if (deep(mib * 1024 / 60) > 0)
		broke("%ld MiB of stack", mib);
}

/* --- disk ---------------------------------------------------------------------------------- */

static void disk_one(long in_out)
{
	const char *path = in_out ? "/out/large" : "/tmp/large";
	struct stat st;

	if (in_out)
		signal(SIGXFSZ, SIG_IGN);
	write_file(path, 12 * MIB);
	hold(HOLD_MS / 4);
	tried(stat(path, &st) == 0 && st.st_size >= 12 * MIB, "12 MiB in %s", path);
}

/* Each file below any limit of one file's size. */
static void disk_many(long files)
{
	char path[40];

	for (long i = 0; i < files; i++) {
		snprintf(path, sizeof(path), "/%s/part%ld", i % 2 ? "out" : "tmp", i);
		write_file(path, MIB);
		if (truncate(path, MIB)) {
			tried(false, "part %ld", i);
			return;
		}
	}
	hold(HOLD_MS / 4);
	broke("%ld files of 1 MiB", files);
}

/* Space that no name shows: written, unlinked, held open. */
static void disk_unlinked(long files)
{
	static char block[MIB];

	for (long i = 0; i < files; i++) {
		int fd = open("/tmp/gone", O_RDWR | O_CREAT | O_EXCL, 0600);

		if (fd < 0 || unlink("/tmp/gone") ||
			write(fd, block, sizeof(block)) != sizeof(block)) {
			tried(false, "unlinked file %ld", i);
			hold(HOLD_MS / 2); /* it is seen only while it is there */
			return;
		}
	}
	hold(HOLD_MS / 4);
	broke("%ld MiB without a name", files);
}

static void disk_inodes(long n)
{
	char path[64];

	for (long i = 0; i < n; i++) {
		if (i % 1000 == 0) {
			snprintf(path, sizeof(path), "/tmp/d%ld", i / 1000);
			mkdir(path, 0755);
		}
		snprintf(path, sizeof(path), "/tmp/d%ld/%ld", i / 1000, i);
		if (mknod(path, S_IFIFO | 0600, 0)) {
			tried(false, "file %ld", i);
			hold(HOLD_MS / 4);
			return;
		}
	}
	hold(HOLD_MS / 4);
	broke("%ld names", n);
}

static void disk_sparse(long how)
{
	int fd = open("/tmp/sparse", O_RDWR | O_CREAT, 0600), rc = -1;
	off_t size = INT64_C(1) << 40;

	signal(SIGXFSZ, how ? SIG_IGN : SIG_DFL);
	if (fd >= 0)
		rc = how == 2 ? fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 12 * MIB)
		              : ftruncate(fd, size);
	tried(rc == 0, how == 2 ? "12 MiB allocated" : "a file of 1 TiB");
}

/* --- processor and time -------------------------------------------------------------------- */

static void cpu_one(long ms)
{
	signal(SIGXCPU, SIG_IGN);
	burn(ms);
	broke("%ld ms", ms);
}

static void cpu_children(long n)
{
	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			burn(900); /* each below the limit of a process */
			_exit(0);
		}
	}
	for (long i = 0; i < n; i++)
		wait(NULL);
	broke("%ld children of 900 ms", n);
}

/* Short-lived children that nobody waits for: their time is in no sum of wait(2). */
static void cpu_hidden(long n)
{
	signal(SIGCHLD, SIG_IGN);
	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			burn(4);
			_exit(0);
		}
		wait(NULL);
	}
	broke("%ld children of 4 ms", n);
}

/* The same as a chain: a child is made, its parent ends. */
static void cpu_chain(long n)
{
	int ends[2], c;

	if (pipe(ends)) {
		tried(false, "pipe");
		return;
	}
	if (fork() == 0) {
		for (long i = 0; i < n; i++) {
			pid_t pid = fork();

			if (pid != 0)
				_exit(pid < 0);
			burn(4);
		}
		say("BROKE the chain came to its end\n");
		_exit(0);
	}
	close(ends[1]);
	while (read(ends[0], &c, 1) > 0)
		;
}

static void sleeper(long ignoring)
{
	for (int s = 1; ignoring && s < NSIG; s++)
		signal(s, SIG_IGN);
	say("here\n");
	hold(WALL_MS);
	broke("%d ms", WALL_MS);
}

static void sleep_in_children(long n)
{
	for (long i = 0; i < n; i++) {
		if (fork() == 0)
			hold(WALL_MS + 1000);
	}
	sleeper(1);
}

static void stop_self(long whom)
{
	say("here\n");
	if (whom == 0)
		syscall(SYS_tgkill, getpid(), getpid(), SIGSTOP);
	else
		kill(whom == 1 ? 0 : getpid(), SIGSTOP);
}

/* --- output -------------------------------------------------------------------------------- */

static void output_flood(long children)
{
	static char block[64 * 1024];
	int fd = 1 + (int)(children & 1);
	bool first = true;

	for (long i = 1; i < children; i++) {
		first = fork() != 0;
		if (!first)
			break;
	}
	memset(block, 'x', sizeof(block));
	block[sizeof(block) - 1] = '\n';
	for (int i = 0; i < 40; i++) {
		if (write(fd, block, sizeof(block)) < 0)
			return;
	}
	if (!first)
		_exit(0);
	while (wait(NULL) > 0)
		; /* their lines have no end of their own */
	say("\n");
	broke("2.5 MiB");
}

static void output_trickle(long ms)
{
	for (long at = 0; at < WALL_MS; at += ms) {
		say("x\n");
		hold(ms);
	}
	broke("trickled");
}

/* --- numbers of things --------------------------------------------------------------------- */

static void fork_flood(long n)
{
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0)
			hold(2 * HOLD_MS);
		if (pid == 0)
			_exit(0);
		if (pid < 0)
			hold(HOLD_MS);
		if (pid < 0) {
			tried(false, "child %ld", i);
			return;
		}
	}
	hold(HOLD_MS);
	broke("%ld children", n);
}

static void fork_chain(long n)
{
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid != 0) {
			if (pid < 0)
				tried(false, "generation %ld", i);
			hold(2 * HOLD_MS);
			_exit(0);
		}
	}
	broke("%ld generations", n);
}

static void zombies(long n)
{
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid < 0) {
			hold(HOLD_MS);
			tried(false, "zombie %ld", i);
			return;
		}
	}
	hold(HOLD_MS);
	broke("%ld zombies", n);
}

static int end_at_once(void *unused)
{
	(void)unused;
	return 0;
}

static void fork_once(long how)
{
	static char stack[16384] __attribute__((aligned(16)));
	pid_t pid = how == 0 ? fork() : clone(end_at_once, stack + sizeof(stack), (int)how, NULL);

	if (pid == 0)
		_exit(0);
	tried(pid > 0, "a process");
}

static void open_file_flood(long n)
{
	struct rlimit all;
	long got = 0;

	/* outside of a box the soft limit may be low */
	if (getrlimit(RLIMIT_NOFILE, &all) == 0) {
		all.rlim_cur = all.rlim_max;
		setrlimit(RLIMIT_NOFILE, &all);
	}
	while (got < n && dup(0) >= 0)
		got++;
	tried(got == n, "%ld open files", n);
}

static void timer_flood(long n)
{
	timer_t t;
	long got = 0;

	while (got < n && timer_create(CLOCK_MONOTONIC, NULL, &t) == 0)
		got++;
	tried(got == n, "%ld timers", n);
}

static void signal_flood(long n)
{
	union sigval v = { 0 };
	sigset_t all;
	long got = 0;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	while (got < n && sigqueue(getpid(), SIGRTMIN, v) == 0)
		got++;
	tried(got == n, "%ld queued signals", n);
}

static void raise_limit(long which)
{
	struct rlimit want = { RLIM_INFINITY, RLIM_INFINITY }, now;
	bool got;

	if (which == RLIMIT_CORE) /* the box says 1 to it */
		want.rlim_cur = want.rlim_max = 4096;
	got = setrlimit((__rlimit_resource_t)which, &want) == 0 ||
	      syscall(SYS_prlimit64, 0, which, &want, NULL) == 0;
	if (!got && getrlimit((__rlimit_resource_t)which, &now) == 0) {
		now.rlim_cur = now.rlim_max; /* even lowering is none of its business */
		got = setrlimit((__rlimit_resource_t)which, &now) == 0;
	}
	tried(got, "setting limit %ld", which);
}

#define SMALL "--memory 48 --wall 60"
#define DISK "--disk 2 --wall 60"
#define WALL "--wall 1"
/* clang-format off: one a line */
const struct behaviour resources[] = {
	{ "mem_one", mem_one, 160, BOTH, WEAK, 0, "memory", SMALL },
	{ "mem_forked", mem_forked, 6, FILES, WEAK, 0, "memory", SMALL },
	{ "mem_brk", mem_brk, 160, BOTH, WEAK, 0, "memory", SMALL },
	{ "mem_page_tables", mem_page_tables, 90, BOTH, WEAK, 0, "memory", SMALL },
	{ "mem_reserved", mem_mapped, MAP_PRIVATE, BOTH, WEAK, 0, "memory", SMALL },
	{ "mem_shared", mem_mapped, MAP_SHARED, BOTH, WEAK, 0, "memory exited", SMALL },
	{ "mem_shared_device", mem_shared_device, 90, BOTH, WEAK, 0, NULL, SMALL },
	{ "mem_mapped_file", mem_mapped_file, 12, FILES, WEAK, NO_OUT, "disk signaled=7", DISK },
	{ "mem_memfd", mem_memfd, 100, BOTH, WEAK, 0, "exited memory", SMALL },
	{ "mem_dev_shm", mem_dev_shm, 1, BOTH, WEAK, 0, NULL, NULL },
	{ "mem_stack", stack_deep, 60, BOTH, WEAK, 0, "signaled=11", "--memory 100" },
	{ "disk_tmp", disk_one, 0, FILES, WEAK, 0, "disk", DISK },
	{ "disk_out_ignoring", disk_one, 1, FILES, WEAK, 0, "disk exited", DISK },
	{ "disk_many", disk_many, 12, FILES, WEAK, 0, "disk", DISK },
	{ "disk_unlinked", disk_unlinked, 12, FILES, WEAK, 0, "disk", DISK },
	{ "disk_inodes", disk_inodes, 40000, FILES, WEAK, 0, "disk", DISK },
	{ "disk_sparse", disk_sparse, 0, FILES, WEAK, 0, "disk", DISK },
	{ "disk_sparse_ignoring", disk_sparse, 1, FILES, WEAK, 0, "exited disk", DISK },
	{ "disk_fallocate", disk_sparse, 2, FILES, WEAK, 0, "exited disk", DISK },
	{ "cpu_one", cpu_one, 1800, BOTH, WEAK, 0, "cpu", "--cpu 1 --wall 60" },
	{ "cpu_children", cpu_children, 2, FILES, WEAK, 0, "cpu", "--cpu 1 --wall 60" },
	{ "cpu_hidden", cpu_hidden, 450, FILES, WEAK, 0, "cpu", "--cpu 1 --wall 60" },
	{ "cpu_chain", cpu_chain, 450, FILES, WEAK, 0, "cpu", "--cpu 1 --wall 60" },
	{ "wall_sleep", sleeper, 0, BOTH, WEAK, 0, "wall", WALL },
	{ "wall_ignoring_signals", sleeper, 1, BOTH, STAYS, 0, "wall", WALL },
	{ "wall_children", sleep_in_children, 3, FILES, WEAK, 0, "wall", WALL },
	{ "wall_stop_thread", stop_self, 0, BOTH, STAYS, 0, "wall", WALL },
	{ "wall_stop_group", stop_self, 1, FILES, STAYS, 0, "wall", WALL },
	{ "wall_output_trickle", output_trickle, 20, BOTH, WEAK, 0, "wall", WALL },
	{ "output_flood", output_flood, 0, BOTH, WEAK, 0, "output", "--max-output 1" },
	{ "output_flood_stderr", output_flood, 1, BOTH, WEAK, 0, "output", "--max-output 1" },
	{ "output_flood_children", output_flood, 4, FILES, WEAK, 0, "output", "--max-output 1" },
	{ "fork_once", fork_once, 0, COMPUTE, WEAK, 0, NULL, NULL },
	{ "fork_sharing_memory", fork_once, CLONE_VM | SIGCHLD, COMPUTE, WEAK, 0, NULL, NULL },
	{ "fork_flood", fork_flood, 40, FILES, WEAK, 0, "processes", "--processes 8" },
	{ "fork_chain", fork_chain, 40, FILES, WEAK, 0, "processes", "--processes 8" },
	{ "fork_zombies", zombies, 40, FILES, WEAK, 0, "processes", "--processes 8" },
	{ "open_file_flood", open_file_flood, 400, BOTH, WEAK, 0, NULL, NULL },
	{ "timer_flood", timer_flood, 100, BOTH, WEAK, 0, NULL, NULL },
	{ "signal_flood", signal_flood, 100, BOTH, WEAK, 0, NULL, NULL },
	{ "raise_limit_processor", raise_limit, RLIMIT_CPU, BOTH, WEAK, 0, NULL, NULL },
	{ "raise_limit_core", raise_limit, RLIMIT_CORE, BOTH, WEAK, 0, NULL, NULL },
	{ "raise_limit_files", raise_limit, RLIMIT_NOFILE, BOTH, WEAK, 0, NULL, NULL },
	{ NULL },
};
