/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_memory.c: memory that the kernel keeps for a program and that no column of /proc/PID/status
 * shows: buffers of pipes and sockets, record locks, mappings, memory of a process that is never
 * there when one looks. A memory cgroup counts all of it; where there is none, something else has
 * to bound it. Each row takes about 100 MiB and runs with --memory 32.
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024)
#define ENOUGH (100 * MIB)
#define PAIRS 120 /* of descriptors, in a process: below the box's 256 */
#define HOLD_MS 1500

/* `one` is done in `n` children, who then wait; it gives the bytes it took. */
static void in_children(long n, long (*one)(void), const char *what)
{
	pid_t pids[16] = { 0 };
	long total = 0, got;
	int ends[2];

	if (pipe(ends)) {
		tried(false, "pipe");
		return;
	}
	for (long i = 0; i < n; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			got = one();
			if (write(ends[1], &got, sizeof(got)) < 0)
				_exit(1);
			pause();
			_exit(0);
		}
	}
	close(ends[1]);
	for (long i = 0; i < n && read(ends[0], &got, sizeof(got)) == sizeof(got); i++)
		total += got;
	hold(HOLD_MS);
	errno = ENOBUFS;
	tried(total >= ENOUGH, "%ld MiB in %s", total / MIB, what);
	for (long i = 0; i < n; i++) {
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	}
}

static long fill(int fd)
{
	static char block[4096];
	ssize_t n;
	long bytes = 0;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((n = write(fd, block, sizeof(block))) > 0)
		bytes += n;
	return bytes;
}

static long fill_pipes(void)
{
	long bytes = 0;
	int ends[2];

	for (int i = 0; i < PAIRS && pipe(ends) == 0; i++) {
		(void)fcntl(ends[1], F_SETPIPE_SZ, MIB);
		bytes += fill(ends[1]);
	}
	return bytes;
}

static long fill_socket_pairs(void)
{
	long bytes = 0;
	int ends[2];

	for (int i = 0; i < PAIRS && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0; i++)
		bytes += fill(ends[0]) + fill(ends[1]);
	return bytes;
}

/* A record lock takes about 200 bytes; those of one file are searched one by one, so: many files. */
static long set_locks(void)
{
	char name[40];
	long bytes = 0;

	for (int i = 0; i < PAIRS; i++) {
		int fd;

		snprintf(name, sizeof(name), "/tmp/lock-%d-%d", getpid(), i);
		fd = open(name, O_RDWR | O_CREAT, 0600);
		for (long at = 0; fd >= 0 && at < 1120; at++) {
			struct flock l = { .l_type = F_WRLCK,
				.l_whence = SEEK_SET,
				.l_start = 2 * at,
				.l_len = 1 };

			if (fcntl(fd, F_SETLK, &l))
				return bytes;
			bytes += 200;
		}
	}
	return bytes;
}

/* A mapping takes about 200 bytes; two neighbours with different rights cannot become one. */
static long split_mappings(void)
{
	const size_t page = 4096, n = 64000;
	char *p =
		mmap(NULL, n * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t i;

	if (p == MAP_FAILED)
		return 0;
	for (i = 0; i < n; i += 2) {
		if (mprotect(p + i * page, page, PROT_READ))
			break;
	}
	return (long)i * 200;
}

static long watch_much(void)
{
	int fds[PAIRS];
	long bytes = 0;

	for (int i = 0; i < PAIRS; i++) {
		fds[i] = epoll_create1(0);
		for (int k = 0; fds[i] >= 0 && k < i; k++) {
			struct epoll_event e = { .events = EPOLLIN };

			if (epoll_ctl(fds[i], EPOLL_CTL_ADD, fds[k], &e) == 0)
				bytes += 200;
		}
	}
	return bytes;
}

/* Names of newlines: /proc/PID/maps writes each with four characters. */
#define DEPTH 3000

static int deep_file(void)
{
	char name[251];

	memset(name, '\n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	if (chdir("/tmp"))
		return -1;
	for (int i = 0; i < DEPTH; i++) {
		if (mkdir(name, 0755) || chdir(name))
			return -1;
	}
	return open("file", O_RDWR | O_CREAT, 0600);
}

/* Each that is open keeps a buffer that its longest line fits in. */
static long read_maps(void)
{
	static char block[65536];
	long bytes = 0;

	while (bytes < ENOUGH) {
		int fd = open("/proc/self/maps", O_RDONLY);
		long got = 0, n;

		while (fd >= 0 && (n = read(fd, block, sizeof(block))) > 0)
			got += n;
		if (got < DEPTH * 1000L)
			return bytes;
		bytes += 4 * MIB;
	}
	return bytes;
}

static void proc_buffers(long n)
{
	int fd = deep_file();

	if (fd < 0 || ftruncate(fd, 4096) ||
		mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		tried(false, "a file deep below");
	in_children(n, read_maps, "open files of /proc");
	errno = 0;
	if (chdir("/tmp"))
		return;
}

static void pipes(long n)
{
	in_children(n, fill_pipes, "pipes");
}

static void socket_pairs(long n)
{
	in_children(n, fill_socket_pairs, "pairs of sockets");
}

static void locks(long n)
{
	in_children(n, set_locks, "record locks");
}

static void mappings(long n)
{
	in_children(n, split_mappings, "mappings");
}

static void epolls(long n)
{
	in_children(n, watch_much, "epoll sets");
}

/* Descriptors in flight hold open what no process has: needs sendmsg. */
static void in_flight(long n)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec io = { &byte, 1 };
	struct msghdr m = { .msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	long got = 0;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends)) {
		tried(false, "socketpair");
		return;
	}
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &ends[0], sizeof(int));
	while (got < n && sendmsg(ends[0], &m, MSG_DONTWAIT) == 1)
		got++;
	tried(got > 0, "%ld descriptors in flight", got);
}

/* --- never there when one looks ------------------------------------------------------------ */

/* One address space that passes from process to process: each is there for some microseconds, and its
 * memory is that of none of them for long. Stacks in turn, for a parent may still run on its own. */
#define HOPS_MAX 300000 /* some 3 s; nobody needs more than HOLD_MS of them */
#define STACKS 64
#define HOP_STACK (16 * 1024)
static char stacks[STACKS][HOP_STACK] __attribute__((aligned(16)));
static volatile long hops, want_mib;
static volatile int done_fd;
static struct timespec began;

static long ms_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - t->tv_sec) * 1000 + (now.tv_nsec - t->tv_nsec) / 1000000;
}

static int hop(void *unused)
{
	(void)unused;
	if (hops < want_mib) {
		char *p =
			mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p != MAP_FAILED)
			memset(p, 1, MIB);
		if (hops == want_mib - 1)
			clock_gettime(CLOCK_MONOTONIC, &began);
	} else if (ms_since(&began) > HOLD_MS) {
		broke("%ld MiB for %d ms in %ld processes, one after the other", want_mib, HOLD_MS,
			hops);
		return 0;
	}
	hops++;
	/* a fork may be refused while the init has not yet reaped */
	for (int tries = 0; tries < 1000 && hops < HOPS_MAX; tries++) {
		if (clone(hop, stacks[hops % STACKS] + HOP_STACK, CLONE_VM | CLONE_FILES | SIGCHLD,
			    NULL) >= 0)
			return 0;
		sched_yield();
	}
	return 1;
}

static void hopping(long mib)
{
	int ends[2];
	char c;

	if (pipe(ends)) {
		tried(false, "pipe");
		return;
	}
	want_mib = mib;
	if (fork() == 0) {
		clock_gettime(CLOCK_MONOTONIC, &began);
		close(ends[0]);
		hop(NULL);
		_exit(0);
	}
	close(ends[1]);
	while (read(ends[0], &c, 1) > 0)
		;
}

#define SMALL "--memory 32 --processes 12 --disk 2 --wall 60"
/* clang-format off: one a line */
const struct behaviour kernel_memory[] = {
	{ "pipes_full", pipes, 8, FILES, WEAK, MAY_LACK, "memory exited", SMALL },
	{ "proc_buffers", proc_buffers, 1, FILES, WEAK, NO_OUT, "memory exited", SMALL },
	{ "socket_pairs_full", socket_pairs, 8, FILES, WEAK, 0, "memory exited", SMALL },
	{ "record_locks", locks, 4, FILES, WEAK, NO_OUT, "memory exited", SMALL },
	{ "mappings", mappings, 9, FILES, WEAK, 0, "memory exited", SMALL },
	{ "epoll_sets", epolls, 8, FILES, NO_BITE, 0, "memory exited", SMALL },
	{ "descriptors_in_flight", in_flight, 100, BOTH, WEAK, 0, NULL, NULL },
	/* on a busy machine its ended parents may be too many before they are reaped: then the other limit ends it, or
	 * refuses the next hop until it gives up */
	{ "mem_hopping", hopping, 120, FILES, WEAK, 0, "memory processes exited", SMALL },
	{ NULL },
};
