/* SPDX-License-Identifier: Apache-2.0
 *
 * use.c: uses something up: `use WHAT [N]`. What it could get it says on standard output.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024)

static int touch(long mib)
{
	for (long i = 0; i < mib; i++) {
		char *p = malloc(MIB);

		if (!p)
			return 3;
		memset(p, 1, MIB);
	}
	return 0;
}

static int memory(long n)
{
	return touch(n);
}

/* The same once there is something in the input. */
static int memory_later(long n)
{
	int fd = open("/in/data", O_RDONLY);
	char c;

	write(1, "ready\n", 6);
	while (read(fd, &c, 1) == 0)
		usleep(1000);
	return touch(n);
}

/* n children with 24 MiB each, all at once. */
static int memory_children(long n)
{
	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			touch(24);
			pause();
		}
	}
	while (wait(NULL) > 0)
		;
	return 0;
}

/* A parent's pages, shared with n children, are there once. */
static int memory_shared(long n)
{
	touch(24);
	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			usleep(200000);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	return 0;
}

/* n bytes of getrandom, and of /dev/urandom where that can be opened, in hexadecimal. */
static int chance(long n)
{
	unsigned char b[4096];
	int fd = open("/dev/urandom", O_RDONLY);

	if (n > 4096 || syscall(SYS_getrandom, b, n, 0) != n)
		return 3;
	for (long i = 0; i < n; i++)
		printf("%02x", b[i]);
	for (long i = 0; fd >= 0 && i < 20000; i++) { /* more than lies in it at once */
		if (read(fd, b, 1) != 1)
			return 4;
		if (i % 100 == 0)
			printf("%02x", b[0]);
	}
	puts("");
	return 0;
}

/* Says "tick" each 10 ms of its own time, n times. */
static int ticks(long n)
{
	for (long i = 0; i < n; i++) {
		usleep(10000);
		write(1, "tick\n", 5);
	}
	return 0;
}

/* Two who tick and wake each other whenever they can. */
static int wakers(long n)
{
	pid_t me = getpid(), other = fork();

	if (other == 0)
		other = me;
	for (long i = 0; i < n; i++) {
		struct timespec ms = { 0, 1000000 };

		kill(other, SIGCONT);
		nanosleep(&ms, NULL);
		if (i % 10 == 0)
			write(1, "tick\n", 5);
	}
	return 0;
}

static int sleeping(long n)
{
	sleep((unsigned)n);
	return 0;
}

/* Says what CPU time it has used itself. */
static int draw(long n)
{
	struct rusage u;
	unsigned word;

	while (n-- > 0)
		syscall(SYS_getrandom, &word, sizeof(word), 0);
	getrusage(RUSAGE_SELF, &u);
	printf("%ld\n", (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
				u.ru_stime.tv_usec);
	return 0;
}

__attribute__((noreturn)) static int burn(long n)
{
	volatile unsigned long x = 0;

	for (long i = 1; i < n; i++) {
		if (fork() == 0)
			break;
	}
	for (;;)
		x++;
}

static void burn_ms(long ms)
{
	struct timespec t;

	do {
		for (volatile int i = 0; i < 20000; i++)
			;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	} while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < ms);
}

/* Children of 4 ms, one after the other, whom nobody waits for. */
__attribute__((noreturn)) static int forget(long n)
{
	(void)n;
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		if (fork() == 0) {
			burn_ms(4);
			_exit(0);
		}
		wait(NULL);
	}
}

/* As a build does: families whose parents wait. Says what all of it used, in microseconds. */
static int families(long n)
{
	struct rusage own, theirs;

	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			for (int k = 0; k < 3; k++) {
				if (fork() == 0) {
					burn_ms(i % 4 * 5);
					_exit(0);
				}
				if (k != 1)
					wait(NULL);
			}
			burn_ms(3);
			while (wait(NULL) > 0)
				;
			_exit(0);
		}
		if (i % 2)
			wait(NULL);
	}
	while (wait(NULL) > 0)
		;
	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &theirs);
	printf("%ld\n", (own.ru_utime.tv_sec + own.ru_stime.tv_sec + theirs.ru_utime.tv_sec +
				theirs.ru_stime.tv_sec) *
					1000000 +
				own.ru_utime.tv_usec + own.ru_stime.tv_usec +
				theirs.ru_utime.tv_usec + theirs.ru_stime.tv_usec);
	return 0;
}

static int flood(long n)
{
	char block[4096];

	memset(block, 'x', sizeof(block));
	for (long i = 0; i < n * 256; i++) {
		if (write(1 + i % 2, block, sizeof(block)) < 0)
			return 3;
	}
	return 0;
}

static int disk(long n)
{
	int fd = open("/out/big", O_WRONLY | O_CREAT, 0600);
	char *block = calloc(1, MIB);

	for (long i = 0; i < n; i++) {
		if (write(fd, block, MIB) != MIB)
			return 3;
	}
	return 0;
}

/* n MiB in each of two folders: one alone would fit. */
static int disk_two(long n)
{
	static const char *const names[] = { "/tmp/a", "/out/a" };
	char *block = calloc(1, MIB);

	for (int k = 0; k < 2; k++) {
		int fd = open(names[k], O_WRONLY | O_CREAT, 0600);

		for (long i = 0; i < n; i++) {
			if (write(fd, block, MIB) != MIB)
				return 3;
		}
	}
	return 0;
}

static int inodes(long n)
{
	char name[40];

	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "/tmp/%ld", i);
		if (open(name, O_WRONLY | O_CREAT, 0600) < 0 || close(3))
			break;
	}
	sleep(10);
	return 0;
}

static int sparse(long n)
{
	int fd = open("/out/sparse", O_WRONLY | O_CREAT, 0600);

	return ftruncate(fd, n * MIB) ? 3 : 0;
}

static int processes(long n)
{
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			pause(); /* one too many was made: that is seen within 20 ms */
		if (pid == 0) {
			pause();
			_exit(0);
		}
		printf("%ld\n", i + 2);
		fflush(stdout);
	}
	usleep(n > 3 ? 2000000 : 200000); /* long enough to be looked at */
	return 0;
}

__attribute__((noreturn)) static int bomb(long n)
{
	(void)n;
	for (;;)
		(void)!fork();
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* All stay until all are made. */
static void *add(void *arg)
{
	long *sum = arg;

	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 100000; i++)
		__atomic_add_fetch(sum, 1, __ATOMIC_RELAXED);
	return NULL;
}

static int threads(long n)
{
	pthread_t t[64];
	long sum = 0, made = 0;

	pthread_mutex_lock(&gate);
	for (; made < n && made < 64; made++) {
		if (pthread_create(&t[made], NULL, add, &sum))
			pause();
	}
	usleep(200000); /* long enough to be looked at */
	pthread_mutex_unlock(&gate);
	for (long i = 0; i < made; i++)
		pthread_join(t[i], NULL);
	printf("%ld threads, sum %ld\n", made, sum);
	return made != n;
}

static int addresses(long n)
{
	int here;

	(void)n;
	printf("%p %p %p %d\n", (void *)&here, malloc(1),
		mmap(NULL, 4096, 1, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), getpid());
	return 0;
}

extern char **environ;

static int environment(long n)
{
	char name[80];

	(void)n;
	for (char **e = environ; *e; e++)
		puts(*e);
	gethostname(name, sizeof(name));
	printf("host %s uid %d pid %d\n", name, getuid(), getpid());
	return 0;
}

static int die(long n)
{
	raise((int)n);
	return 0;
}

static int leave(long n)
{
	return (int)n;
}

__attribute__((noreturn)) static int stubborn(long n)
{
	for (int s = 1; s < 32; s++)
		signal(s, SIG_IGN);
	if (n && fork() == 0)
		setsid();
	puts("here");
	fflush(stdout);
	for (;;)
		pause();
}

/* A call of the x32 convention, whose numbers a careless filter would mistake. */
static int foreign(long n)
{
	return (int)syscall(0x40000000 + n);
}

static int copy_in(long n)
{
	char text[4096];
	int fd = open("/in/data", O_RDONLY);
	ssize_t got = read(fd, text, sizeof(text));

	(void)n;
	if (open("/in/data", O_RDWR) >= 0 || unlink("/in/data") == 0 ||
		chmod("/in/data", 0777) == 0)
		puts("REACHED the input");
	return got < 0 || write(1, text, (size_t)got) != got;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd))
		printf("cannot make %s: %s\n", path, strerror(errno));
}

static int outputs(long n)
{
	(void)n;
	put("/out/good.txt", "good\n");
	put("/out/locked", "locked\n");
	chmod("/out/locked", 0);
	mkdir("/out/d", 0755);
	mkdir("/out/d/e", 0755);
	mkdir("/out/d/e/f", 0755);
	put("/out/d/e/f/deep", "deep\n");
	mkdir("/out/d/e/f/g", 0755);
	put("/out/d/e/f/g/too", "too deep\n");
	chmod("/out/d/e", 0);
	put("/out/.hidden", "x");
	put("/out/new\nline", "x");
	put("/out/sp ace", "x");
	put("/out/\xff\x1b[31m", "x");
	if (symlink("/etc/passwd", "/out/link") || symlink("/etc", "/out/dirlink") ||
		symlink("good.txt", "/out/inner"))
		puts("no links");
	if (mkfifo("/out/fifo", 0666))
		puts("no fifo");
	return 0;
}

/* What the link in /proc to its own file lets it do to that. */
static int own_file(long n)
{
	static const char exe[] = "/proc/self/exe";
	char text[4096];
	ssize_t got = readlink(exe, text, sizeof(text) - 1);
	int fd = open(exe, O_RDONLY);

	(void)n;
	if (got > 0) {
		text[got] = 0;
		printf("at %s\n", text);
	}
	if (fd >= 0 && read(fd, text, 4) == 4 && memcmp(text, "\177ELF", 4) == 0)
		puts("read");
	if (chmod(exe, 04777) == 0 || chmod(exe, 0777) == 0 || fchmod(fd, 0777) == 0)
		puts("mode");
	if (utimensat(AT_FDCWD, exe, NULL, 0) == 0)
		puts("times");
	if (truncate(exe, 0) == 0 || open(exe, O_WRONLY) >= 0 || open(exe, O_RDWR) >= 0)
		puts("written");
	if (linkat(AT_FDCWD, exe, AT_FDCWD, "/tmp/exe", AT_SYMLINK_FOLLOW) == 0)
		puts("linked");
	return 0;
}

/* Which optional bits it has. */
static int bits(long n)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)n;
	if (mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0)
		puts("jit");
	if (access("/proc/self/maps", R_OK) == 0)
		puts("proc");
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(long n);
} uses[] = {
	{ "memory", memory },
	{ "memory-later", memory_later },
	{ "memory-children", memory_children },
	{ "memory-shared", memory_shared },
	{ "sleep", sleeping },
	{ "chance", chance },
	{ "ticks", ticks },
	{ "wakers", wakers },
	{ "burn", burn },
	{ "draw", draw },
	{ "forget", forget },
	{ "families", families },
	{ "flood", flood },
	{ "disk", disk },
	{ "disk-two", disk_two },
	{ "inodes", inodes },
	{ "sparse", sparse },
	{ "processes", processes },
	{ "bomb", bomb },
	{ "threads", threads },
	{ "addresses", addresses },
	{ "environment", environment },
	{ "die", die },
	{ "leave", leave },
	{ "stubborn", stubborn },
	{ "foreign", foreign },
	{ "in", copy_in },
	{ "out", outputs },
	{ "bits", bits },
	{ "own-file", own_file },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(uses) / sizeof(uses[0]); i++) {
		if (strcmp(argv[1], uses[i].name) == 0)
			return uses[i].fn(argc > 2 ? atol(argv[2]) : 0);
	}
	return 99;
}
