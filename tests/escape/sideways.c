/* SPDX-License-Identifier: Apache-2.0
 *
 * sideways.c: past a limit by a way that is not the straight one: memory that belongs to nobody who is looked
 * at, time that is nobody's or is never running when one looks, space that is no file's, endings
 * that another process forges. Bounds as in resources.c.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024)
#define HOLD_MS 1000
#define WALL_MS 3000
#define TELL 200 /* a descriptor that is free and not beyond the limit */

/* --- memory -------------------------------------------------------------------------------- */

static char *reserve(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p != MAP_FAILED)
		return p;
	tried(false, "reserving");
	_exit(0);
}

/* A shared mapping of this device is memory of no process and of no file system. */
static void mem_dev_zero(long mib)
{
	int fd = open("/dev/zero", O_RDWR);
	char *p =
		fd < 0 ? MAP_FAILED
		       : mmap(NULL, (size_t)(mib * MIB), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		tried(false, "a shared mapping of /dev/zero");
		return;
	}
	memset(p, 1, (size_t)(mib * MIB));
	hold(HOLD_MS);
	broke("%ld MiB of /dev/zero", mib);
}

static int deep_stack(void *mib)
{
	size_t size = (size_t)(long)mib * MIB;

	memset(reserve(size), 1, size);
	hold(2 * HOLD_MS);
	return 0;
}

static void mem_threads(long n)
{
	for (long i = 0; i < n; i++) {
		if (start_thread(deep_stack, (void *)8L) < 0)
			tried(false, "thread %ld", i);
	}
	hold(HOLD_MS);
	broke("%ld threads of 8 MiB", n);
}

/* What a fork shares costs nothing until each writes its own. */
static void mem_copied(long children)
{
	size_t size = 24 * (size_t)MIB;
	char *p = reserve(size);

	memset(p, 1, size);
	for (long i = 0; i < children; i++) {
		if (fork() == 0) {
			memset(p, (int)i + 2, size);
			hold(2 * HOLD_MS);
			_exit(0);
		}
	}
	hold(HOLD_MS);
	for (long i = 0; i < children; i++)
		wait(NULL);
	broke("%ld copies of 24 MiB", children);
}

/* Behind so many that a list of them is long. */
static void mem_in_crowd(long n)
{
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			hold(8 * HOLD_MS);
			_exit(0);
		}
		if (pid < 0) {
			tried(false, "child %ld", i);
			return;
		}
	}
	if (fork() == 0) {
		touch(200);
		hold(6 * HOLD_MS);
		_exit(0);
	}
	hold(6 * HOLD_MS);
	broke("200 MiB behind %ld children", n);
}

static void mem_grown(long mib)
{
	size_t size = 1 * (size_t)MIB;
	char *p = reserve(size);

	for (; size < (size_t)(mib * MIB); size *= 2) {
		memset(p, 1, size);
		p = mremap(p, size, 2 * size, MREMAP_MAYMOVE);
		if (p == MAP_FAILED) {
			tried(false, "growing to %zu MiB", 2 * size / MIB);
			return;
		}
	}
	hold(HOLD_MS);
	broke("%ld MiB by growing", mib);
}

/* Given back and taken again: high only now and then. */
static void mem_waves(long mib)
{
	size_t size = (size_t)(mib * MIB);
	char *p = reserve(size);

	for (int i = 0; i < 30; i++) {
		memset(p, 1, size);
		madvise(p, size, MADV_DONTNEED);
		hold(5);
	}
	broke("30 waves of %ld MiB", mib);
}

/* Lazily freed pages are not given back until somebody needs them. */
static void mem_lazily_freed(long mib)
{
	for (long i = 0; i < mib; i += 16) {
		char *p = reserve(16 * MIB);

		memset(p, 1, 16 * MIB);
		madvise(p, 16 * MIB, MADV_FREE);
	}
	hold(HOLD_MS);
	broke("%ld MiB that is only said to be free", mib);
}

/* A page of a file that is written in a private mapping is anonymous memory. */
static void mem_private_file(long mib)
{
	int fd = open("/tmp/small", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, MIB)) {
		tried(false, "a file");
		return;
	}
	for (long i = 0; i < mib; i++) {
		char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

		if (p == MAP_FAILED) {
			tried(false, "mapping %ld", i);
			return;
		}
		memset(p, 1, MIB);
	}
	hold(HOLD_MS);
	broke("%ld MiB of one small file", mib);
}

/* The sender is closed: what it sent waits in the other end, and no descriptor shows whose it is. */
static void queue_of_closed(long pairs)
{
	static char block[4096];
	long kib = 0;

	for (long i = 0; i < pairs; i++) {
		int ends[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends))
			break;
		while (write(ends[0], block, sizeof(block)) > 0)
			kib += 4;
		close(ends[0]);
	}
	if (write(TELL, &kib, sizeof(kib)) < 0)
		_exit(1);
	hold(2 * HOLD_MS);
	_exit(0);
}

/* Pages of a file that lie in a pipe stay when the file is gone. */
static void pages_in_pipes(long pipes)
{
	long kib = 0;

	for (long i = 0; i < pipes; i++) {
		int fd = open("/tmp", O_RDWR | O_TMPFILE, 0600), ends[2];
		char name[64];

		snprintf(name, sizeof(name), "/tmp/page-%d-%ld", getpid(), i);
		if (fd < 0)
			fd = open(name, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || ftruncate(fd, 65536) || pipe(ends))
			break;
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
		if (sendfile(ends[1], fd, &(off_t){ 0 }, 65536) > 0)
			kib += 64;
		unlink(name);
		close(fd);
	}
	if (write(TELL, &kib, sizeof(kib)) < 0)
		_exit(1);
	hold(2 * HOLD_MS);
	_exit(0);
}

static void in_children(void (*one)(long), long children, long n, const char *what)
{
	long total = 0, kib;
	int ends[2];

	if (pipe(ends) || dup2(ends[1], TELL) < 0) {
		tried(false, "pipe");
		return;
	}
	close(ends[1]);
	for (long i = 0; i < children; i++) {
		if (fork() == 0)
			one(n);
	}
	close(TELL);
	for (long i = 0; i < children && read(ends[0], &kib, sizeof(kib)) == sizeof(kib); i++)
		total += kib;
	hold(HOLD_MS);
	errno = ENOBUFS;
	tried(total >= 100 * 1024, "%ld MiB in %s", total / 1024, what);
}

/* Named pipes, each open once: no descriptor says "pipe". */
static void fill_fifos(long n)
{
	static char block[4096];
	char name[64];
	long kib = 0;

	for (long i = 0; i < n; i++) {
		int fd;

		snprintf(name, sizeof(name), "/tmp/fifo-%d-%ld", getpid(), i);
		mkfifo(name, 0600);
		fd = open(name, O_RDWR | O_NONBLOCK);
		while (fd >= 0 && write(fd, block, sizeof(block)) > 0)
			kib += 4;
	}
	if (write(TELL, &kib, sizeof(kib)) < 0)
		_exit(1);
	hold(2 * HOLD_MS);
	_exit(0);
}

/* Sets of events that watch everything else. */
static void fill_sets(long n)
{
	int fds[240];
	long bytes = 0;

	for (long i = 0; i < n && i < 240; i++) {
		fds[i] = i % 2 ? epoll_create1(0) : eventfd(0, 0);
		for (long k = 0; i % 2 == 0 && k < i; k++) {
			struct epoll_event e = { .events = EPOLLIN };

			if (k % 2 && epoll_ctl(fds[k], EPOLL_CTL_ADD, fds[i], &e) == 0)
				bytes += 200;
		}
	}
	bytes /= 1024;
	if (write(TELL, &bytes, sizeof(bytes)) < 0)
		_exit(1);
	hold(2 * HOLD_MS);
	_exit(0);
}

static void closed_senders(long children)
{
	in_children(queue_of_closed, children, 100, "sockets whose senders are closed");
}

static void named_pipes(long children)
{
	in_children(fill_fifos, children, 180, "named pipes");
}

static void sets_of_events(long children)
{
	in_children(fill_sets, children, 190, "sets of events");
}

static void pinned_pages(long children)
{
	in_children(pages_in_pipes, children, 110, "pages of files that are gone");
}

/* --- processor ----------------------------------------------------------------------------- */

/* Nobody's: forgotten at its end, and most of it spent after it has ended: giving memory back. */
static void cpu_in_ends(long n)
{
	signal(SIGCHLD, SIG_IGN);
	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			memset(reserve(12 * MIB), 1, 12 * MIB);
			_exit(0);
		}
		wait(NULL);
	}
	broke("%ld children of 12 MiB", n);
}

static int burn_some(void *ms)
{
	burn((long)ms);
	return 0;
}

static void cpu_clone(long flags)
{
	static char stack[65536] __attribute__((aligned(16)));

	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 60; i++) {
		pid_t pid = clone(burn_some, stack + sizeof(stack), (int)flags, (void *)30L);

		if (pid < 0) {
			tried(false, "child %d", i);
			return;
		}
		waitpid(pid, NULL, __WALL);
	}
	broke("60 children of 30 ms");
}

/* The children of one that is forgotten: what it waited for is forgotten with it. */
static void cpu_in_generations(long n)
{
	signal(SIGCHLD, SIG_IGN);
	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			signal(SIGCHLD, SIG_DFL);
			for (int k = 0; k < 5; k++) {
				if (fork() == 0) {
					burn(4);
					_exit(0);
				}
				wait(NULL);
			}
			_exit(0);
		}
		wait(NULL);
	}
	broke("%ld families of 20 ms", n);
}

static void no_handler(int sig)
{
	(void)sig;
}

/* As SIG_IGN, but no mask of ignored signals shows it. */
static void cpu_no_wait(long n)
{
	struct sigaction a = { .sa_handler = no_handler, .sa_flags = SA_NOCLDWAIT | SA_RESTART };

	sigaction(SIGCHLD, &a, NULL);
	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			burn(6);
			_exit(0);
		}
		wait(NULL);
	}
	broke("%ld children of 6 ms", n);
}

static void cpu_orphans(long n)
{
	for (long i = 0; i < n; i++) {
		int ends[2], c;

		if (pipe(ends))
			return;
		if (fork() == 0) {
			if (fork() == 0) {
				burn(20);
				_exit(0);
			}
			_exit(0);
		}
		close(ends[1]);
		wait(NULL);
		if (read(ends[0], &c, 1) < 0)
			return;
		close(ends[0]);
	}
	broke("%ld orphans of 20 ms", n);
}

static void cpu_threads(long n)
{
	for (long i = 0; i < n; i++) {
		if (start_thread(burn_some, (void *)200L) < 0)
			tried(false, "thread %ld", i);
	}
	for (int i = 0; i < 100; i++)
		hold(100);
	broke("%ld threads of 200 ms", n);
}

static void cpu_in_kernel(long ms)
{
	struct timespec t;
	sigset_t set;

	sigemptyset(&set);
	do {
		for (int i = 0; i < 2000; i++)
			sigprocmask(SIG_BLOCK, &set, NULL);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	} while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < ms);
	broke("%ld ms of system calls", ms);
}

/* Never running when the clock ticks: it works between two ticks and sleeps over each. */
static void cpu_between_ticks(long ms)
{
	struct timespec t, nap = { 0, 300000 };
	long used = 0;

	while (used < ms) {
		burn(used + 2);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		used = t.tv_sec * 1000 + t.tv_nsec / 1000000;
		nanosleep(&nap, NULL);
	}
	broke("%ld ms in small parts", ms);
}

/* --- time ---------------------------------------------------------------------------------- */

static void wall_futex(long unused)
{
	static int word;
	struct timespec end = { WALL_MS / 1000, 0 };

	(void)unused;
	syscall(SYS_futex, &word, FUTEX_WAIT, 0, &end, NULL, 0);
	broke("waited on a futex");
}

/* The other end of a FIFO never comes; here it does, so that this ends outside of a box. */
static void wall_fifo(long unused)
{
	(void)unused;
	if (mkfifo("/tmp/fifo", 0600)) {
		tried(false, "a FIFO");
		return;
	}
	if (fork() == 0) {
		hold(WALL_MS);
		_exit(open("/tmp/fifo", O_WRONLY) < 0);
	}
	if (open("/tmp/fifo", O_RDONLY) >= 0)
		broke("waited for a FIFO");
}

/* --- output, disk and numbers --------------------------------------------------------------- */

/* Each stream within the limit, both beyond it. */
static void output_both(long kib)
{
	static char block[1024];

	memset(block, 'x', sizeof(block));
	block[sizeof(block) - 1] = '\n';
	for (long i = 0; i < kib; i++) {
		if (write(1, block, sizeof(block)) < 0 || write(2, block, sizeof(block)) < 0)
			return;
	}
	broke("%ld KiB on each stream", kib);
}

/* The kernel copies it: no write(2). */
static void output_sendfile(long mib)
{
	int fd;

	write_file("/tmp/much", MIB);
	fd = open("/tmp/much", O_RDONLY);
	for (long i = 0; i < mib; i++) {
		off_t at = 0;

		while (at < MIB) {
			if (sendfile(1, fd, &at, (size_t)(MIB - at)) <= 0) {
				tried(false, "sendfile");
				return;
			}
		}
	}
	say("\n");
	broke("%ld MiB sent", mib);
}

static void disk_hard_links(long n)
{
	char path[64];

	write_file("/tmp/one", 1);
	for (long i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/tmp/link%ld", i);
		if (link("/tmp/one", path)) {
			tried(false, "link %ld", i);
			hold(HOLD_MS / 4);
			return;
		}
	}
	hold(HOLD_MS / 4);
	broke("%ld names of one file", n);
}

static void disk_long_links(long n)
{
	char target[4000], path[64];

	memset(target, 'x', sizeof(target));
	target[sizeof(target) - 1] = 0;
	for (long i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/tmp/s%ld", i);
		if (symlink(target, path)) {
			tried(false, "link %ld", i);
			hold(HOLD_MS / 4);
			return;
		}
	}
	hold(HOLD_MS / 4);
	broke("%ld links of 4 KB", n);
}

static int wait_much(void *unused)
{
	(void)unused;
	hold(2 * HOLD_MS);
	return 0;
}

/* Neither the processes nor the threads of any are many; all together are. */
static void tasks_together(long n)
{
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (long k = 1; k < n; k++)
				start_thread(wait_much, NULL);
			hold(2 * HOLD_MS);
			_exit(0);
		}
		if (pid < 0)
			tried(false, "process %ld", i);
	}
	hold(HOLD_MS);
	broke("%ld processes of %ld threads", n, n);
}

static volatile long own_files;

static int own_table(void *unused)
{
	(void)unused;
	while (eventfd(0, 0) >= 0 && own_files < 4000)
		own_files++;
	hold(HOLD_MS);
	return 0;
}

/* A thread with a table of open files of its own has the whole limit once more. */
static void threads_own_files(long n)
{
	static char stacks[8][32768] __attribute__((aligned(16)));

	for (long i = 0; i < n && i < 8; i++) {
		if (clone(own_table, stacks[i] + sizeof(stacks[i]),
			    CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
			    NULL) < 0) {
			tried(false, "a thread with its own files");
			return;
		}
	}
	hold(HOLD_MS / 2);
	tried(own_files > 600, "%ld open files", own_files);
}

/* --- lying --------------------------------------------------------------------------------- */

static int at_once(void *unused)
{
	(void)unused;
	return 0;
}

/* The end of a child can be told by any signal. */
static void forge_by_child(long number)
{
	static char stack[16384] __attribute__((aligned(16)));

	signal((int)number, SIG_DFL);
	if (clone(at_once, stack + sizeof(stack), (int)number, NULL) > 0)
		hold(HOLD_MS);
}

/* The limit's signal from another process, and then an end as if nothing had been. */
static void forge_from_child(long number)
{
	pid_t me = getpid();

	signal((int)number, SIG_DFL);
	if (fork() == 0)
		_exit(kill(me, (int)number) != 0);
	hold(HOLD_MS / 4);
}

#define CPU "--cpu 1 --wall 60"
#define SMALL "--memory 48 --wall 60"
#define TINY "--memory 32 --processes 12 --disk 64 --wall 60"
/* clang-format off: one a line */
const struct behaviour sideways[] = {
	{ "mem_dev_zero", mem_dev_zero, 160, FILES, WEAK, 0, "exited memory", SMALL },
	{ "mem_threads", mem_threads, 20, BOTH, WEAK, 0, "memory",
		"--memory 48 --threads 24 --wall 60" },
	{ "mem_copied", mem_copied, 6, FILES, WEAK, 0, "memory", SMALL },
	{ "mem_in_crowd", mem_in_crowd, 900, FILES, WEAK, 0, "memory",
		"--memory 150 --processes 1000 --wall 60" },
	{ "mem_grown", mem_grown, 160, BOTH, WEAK, 0, "memory", SMALL },
	{ "mem_waves", mem_waves, 160, BOTH, WEAK, 0, "memory", SMALL },
	{ "mem_lazily_freed", mem_lazily_freed, 160, BOTH, WEAK, 0, "memory", SMALL },
	{ "mem_private_file", mem_private_file, 160, FILES, WEAK, NO_OUT, "memory", SMALL },
	{ "mem_closed_senders", closed_senders, 8, FILES, WEAK, 0, "memory exited", TINY },
	{ "mem_pinned_pages", pinned_pages, 9, FILES, NO_BITE, NO_OUT, "memory exited disk", TINY },
	{ "mem_named_pipes", named_pipes, 11, FILES, NO_BITE, NO_OUT, "memory exited", TINY },
	{ "mem_sets_of_events", sets_of_events, 40, FILES, NO_BITE, 0, "memory",
		"--memory 32 --processes 50 --wall 60" },
	{ "cpu_in_ends", cpu_in_ends, 900, FILES, WEAK, 0, "cpu", CPU },
	{ "cpu_sharing_memory", cpu_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, FILES, WEAK, 0, "cpu",
		CPU },
	{ "cpu_untold", cpu_clone, CLONE_VM, FILES, WEAK, 0, "cpu", CPU },
	{ "cpu_in_generations", cpu_in_generations, 110, FILES, WEAK, 0, "cpu", CPU },
	{ "cpu_no_wait", cpu_no_wait, 350, FILES, WEAK, 0, "cpu", CPU },
	{ "cpu_orphans", cpu_orphans, 100, FILES, WEAK, 0, "cpu", CPU },
	{ "cpu_threads", cpu_threads, 12, BOTH, WEAK, 0, "cpu", "--cpu 1 --threads 16 --wall 60" },
	{ "cpu_in_kernel", cpu_in_kernel, 1800, BOTH, WEAK, 0, "cpu", CPU },
	{ "cpu_between_ticks", cpu_between_ticks, 1800, BOTH, WEAK, 0, "cpu", CPU },
	{ "wall_futex", wall_futex, 0, BOTH, WEAK, 0, "wall", "--wall 1" },
	{ "wall_fifo", wall_fifo, 0, FILES, WEAK, NO_OUT, "wall", "--wall 1" },
	{ "output_both", output_both, 800, BOTH, WEAK, 0, "output", "--max-output 1" },
	{ "output_sendfile", output_sendfile, 3, FILES, WEAK, NO_OUT, "output", "--max-output 1" },
	{ "disk_hard_links", disk_hard_links, 40000, FILES, WEAK, NO_OUT, "disk",
		"--disk 2 --wall 60" },
	{ "disk_long_links", disk_long_links, 4000, FILES, WEAK, NO_OUT, "disk",
		"--disk 2 --wall 60" },
	{ "tasks_together", tasks_together, 5, FILES, WEAK, 0, "processes",
		"--processes 8 --wall 60" },
	{ "threads_own_files", threads_own_files, 4, BOTH, WEAK, 0, NULL, "--threads 8" },
	{ "forge_by_child_SIGXFSZ", forge_by_child, SIGXFSZ, FILES, STATUS, 0, "signaled=25 exited",
		NULL },
	{ "forge_by_child_SIGXCPU", forge_by_child, SIGXCPU, FILES, STATUS, 0, "signaled=24 exited",
		NULL },
	{ "forge_from_child_SIGXFSZ", forge_from_child, SIGXFSZ, FILES, STATUS, 0,
		"signaled=25 exited", NULL },
	{ "forge_from_child_SIGXCPU", forge_from_child, SIGXCPU, FILES, STATUS, 0, "signaled=24",
		NULL },
	{ NULL },
};
