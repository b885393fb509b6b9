/* SPDX-License-Identifier: Apache-2.0
 *
 * static_beyond.c: goes beyond a limit: `beyond WHAT LIMIT [N]`, for bench_limits.
 *
 * At the moment of passing, or a little before, it says "T" and the monotonic clock's microseconds; "+" for each
 * unit that it got (a MiB, a file, a process). It goes on until it is ended.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024)
#define CHILD_MS 4
#define THREAD_STACK (64 * 1024)

static long long us_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void passed(void)
{
	dprintf(1, "T%lld\n", us_of(CLOCK_MONOTONIC));
}

static void got(void)
{
	if (write(1, "+\n", 2) != 2)
		_exit(3);
}

__attribute__((noreturn)) static void stay(void)
{
	for (;;)
		pause();
}

static void burn_until(clockid_t clock, long long us)
{
	do {
		for (volatile int i = 0; i < 20000; i++)
			;
	} while (us_of(clock) < us);
}

/* Become n processes. */
static void divide(long n)
{
	for (long i = 1; i < n; i++) {
		if (fork() == 0)
			break;
	}
}

/* --- time --- */

static void wall(long limit, long n)
{
	(void)limit, (void)n;
	passed(); /* the limit is added by who reads this */
	stay();
}

static void stubborn(long limit, long n)
{
	(void)limit;
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_IGN);
	passed();
	divide(n);
	setsid();
	stay();
}

/* Of several none knows when all together have passed it. */
static void cpu(long limit, long n)
{
	divide(n);
	if (n == 1) {
		burn_until(CLOCK_PROCESS_CPUTIME_ID, limit * 1000000);
		passed();
	}
	for (volatile unsigned long x = 0;; x++)
		;
}

static void *burn(void *unused)
{
	for (volatile unsigned long x = 0;; x++)
		;
	return unused;
}

static void cpu_threads(long limit, long n)
{
	pthread_t t;

	while (--n > 0)
		pthread_create(&t, NULL, burn, NULL);
	burn_until(CLOCK_PROCESS_CPUTIME_ID, limit * 1000000);
	passed();
	burn(NULL);
}

/* Children that nobody waits for, as SIGCHLD is ignored. */
static void cpu_forgotten(long limit, long n)
{
	long long theirs = 0;

	signal(SIGCHLD, SIG_IGN);
	for (int told = 0;; theirs += CHILD_MS * 1000) {
		if (fork() == 0) {
			burn_until(CLOCK_PROCESS_CPUTIME_ID, CHILD_MS * 1000);
			_exit(0);
		}
		while (wait(NULL) > 0)
			;
		if (!told && theirs + us_of(CLOCK_PROCESS_CPUTIME_ID) >= limit * 1000000) {
			passed();
			told = 1;
		}
	}
	(void)n;
}

/* --- memory --- */

static void memory(long limit, long n)
{
	divide(n);
	for (long i = 0; i < 4 * limit / n; i++) {
		char *p = malloc(MIB);

		if (i == limit / n - 1) /* its own kilobytes come to it */
			passed();
		if (!p)
			break;
		memset(p, 1, MIB);
		got();
	}
	stay();
}

static void memory_later(long limit, long n)
{
	struct timespec t = { 3, 0 }; /* it is looked at less often then */

	nanosleep(&t, NULL);
	memory(limit, n);
}

/* --- tasks --- */

static void processes(long limit, long n)
{
	(void)n;
	got();
	for (long i = 1; i < 4 * limit; i++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0)
			stay();
		if (i == limit)
			passed();
		got();
	}
	stay();
}

static void *idle(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void threads(long limit, long n)
{
	pthread_attr_t small;
	pthread_t t;

	(void)n;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, THREAD_STACK);
	got();
	for (long i = 1; i < 4 * limit && pthread_create(&t, &small, idle, NULL) == 0; i++) {
		if (i == limit)
			passed();
		got();
	}
	stay();
}

/* --- files --- */

static void open_files(long limit, long n)
{
	int fd = open("/tmp/one", O_RDWR | O_CREAT, 0600);

	(void)n;
	for (int i = 0; i < fd; i++)
		got(); /* those that it was given */
	for (; fd >= 0 && fd < 4 * limit; fd = dup(fd))
		got();
}

/* In both folders in turn; what it gets is what a write says. */
static void disk(long limit, long n)
{
	static char block[64 * 1024];
	int fds[] = { open("/out/a", O_WRONLY | O_CREAT, 0600),
		open("/tmp/a", O_WRONLY | O_CREAT, 0600) };
	long bytes = 0;

	memset(block, 1, sizeof(block));
	for (long i = 0; bytes < 4 * limit * MIB; i++) {
		ssize_t done;

		if (bytes == limit * MIB)
			passed();
		done = write(fds[n > 1 ? i % 2 : 0], block, sizeof(block));
		if (done <= 0)
			break;
		bytes += done;
		if (bytes % MIB == 0)
			got();
	}
	stay();
}

static void disk_sparse(long limit, long n)
{
	int fd = open("/out/a", O_WRONLY | O_CREAT, 0600);

	(void)n;
	passed();
	(void)!ftruncate(fd, 4 * limit * MIB);
	stay();
}

static void disk_files(long limit, long n)
{
	char name[40];
	int fd = 0;

	(void)limit;
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), i % 2 ? "/tmp/%ld" : "/out/%ld", i);
		fd = open(name, O_WRONLY | O_CREAT, 0600);
		if (fd < 0)
			break;
		close(fd);
		got();
	}
	if (fd < 0)
		passed();
	stay();
}

/* What it says is what is counted. */
__attribute__((noreturn)) static void output(long limit, long n)
{
	static char block[4096];

	(void)limit;
	memset(block, 'x', sizeof(block));
	for (long i = 0;; i++) {
		if (write(1 + (n > 1 ? i % 2 : 0), block, sizeof(block)) < 0)
			stay();
	}
}

static const struct {
	const char *name;
	void (*go)(long limit, long n);
} ways[] = {
	{ "wall", wall },
	{ "stubborn", stubborn },
	{ "cpu", cpu },
	{ "cpu-threads", cpu_threads },
	{ "cpu-forgotten", cpu_forgotten },
	{ "memory", memory },
	{ "memory-later", memory_later },
	{ "processes", processes },
	{ "threads", threads },
	{ "open-files", open_files },
	{ "disk", disk },
	{ "disk-sparse", disk_sparse },
	{ "disk-files", disk_files },
	{ "output", output },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 3 && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(argv[1], ways[i].name) == 0) {
			ways[i].go(atol(argv[2]), atol(argv[3]));
			return 0;
		}
	}
	return 99;
}
