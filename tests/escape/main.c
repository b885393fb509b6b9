/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: finds the row and runs it; the few things that all rows use.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024)
#define THREAD_STACK (64 * 1024)

static const struct {
	const char *name;
	const struct behaviour *rows;
} tables[] = {
#define X(table) { #table, table },
	TABLES(X)
#undef X
};

static char **arguments;
static int n_arguments;
static bool has_broken;

const char *argument(int which)
{
	return which < n_arguments ? arguments[which] : "";
}

static void line(const char *word, const char *what, va_list args, const char *why)
{
	char text[300];

	vsnprintf(text, sizeof(text), what, args);
	dprintf(1, "%s %s%s%s\n", word, text, why ? ": " : "", why ? why : "");
}

void broke(const char *what, ...)
{
	va_list args;

	has_broken = true;
	va_start(args, what);
	line("BROKE", what, args, NULL);
	va_end(args);
}

bool tried(bool got, const char *what, ...)
{
	const char *why = strerrorname_np(errno);
	va_list args;

	has_broken |= got;
	va_start(args, what);
	line(got ? "BROKE" : "denied", what, args, got ? NULL : why ? why : "?");
	va_end(args);
	return got;
}

bool reached(long rc, const char *what, ...)
{
	bool got = rc >= 0 || (errno != EPERM && errno != EACCES && errno != ENOSYS);
	const char *why = rc >= 0 ? NULL : strerrorname_np(errno);
	va_list args;

	has_broken |= got;
	va_start(args, what);
	line(got ? "BROKE" : "denied", what, args, why);
	va_end(args);
	return got;
}

void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(3);
}

void hold(long ms)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += ms % 1000 * 1000000;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	do {
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (
		now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
}

void burn(long ms)
{
	struct timespec t;
	volatile unsigned long n = 0;

	do {
		for (int i = 0; i < 20000; i++)
			n++;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	} while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < ms);
}

void touch(size_t mib)
{
	for (size_t i = 0; i < mib; i++) {
		char *p =
			mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) {
			tried(false, "%zu MiB", mib);
			_exit(0);
		}
		memset(p, 1, MIB);
	}
}

bool is_boxed_pid_2(void)
{
	return getpid() == 2 && getppid() == 1;
}

void write_file(const char *path, size_t bytes)
{
	static char page[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	for (size_t at = 0; fd >= 0 && at < bytes; at += sizeof(page)) {
		size_t n = bytes - at < sizeof(page) ? bytes - at : sizeof(page);

		if (write(fd, page, n) < 0)
			break;
	}
	if (fd >= 0)
		close(fd);
}

int start_thread(int (*run)(void *), void *with)
{
	char *stack = mmap(
		NULL, THREAD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED)
		return -1;
	return clone(run, stack + THREAD_STACK,
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
		with);
}

static int list(void)
{
	static const char *const bites[] = { "weak", "root", "bare", "left", "stays", "status",
		"copied", "none" };

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct behaviour *b = tables[t].rows; b->name; b++)
			printf("%s\t%s\t%u\t%s\t%u\t%s\t%s\n", tables[t].name, b->name, b->in,
				bites[b->bite], b->how, b->ends ? b->ends : "exited",
				b->options ? b->options : "");
	}
	return 0;
}

static const struct behaviour *find(const char *name, size_t length)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct behaviour *b = tables[t].rows; b->name; b++) {
			if (strlen(b->name) == length && memcmp(b->name, name, length) == 0)
				return b;
		}
	}
	return NULL;
}

/* One row, or several with commas between, which then leave nothing in each other's way. */
static int run_all(const char *names)
{
	size_t n;

	for (; *names; names += n + (names[n] == ',')) {
		const struct behaviour *b = find(names, n = strcspn(names, ","));

		if (!b)
			return 2;
		dprintf(1, "row %s\n", b->name);
		b->run(b->n);
	}
	return has_broken;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (argc > 7 && strcmp(argv[1], "--weak") == 0)
		return weak_run(argv + 2);
	if (argc > 2 && strcmp(argv[1], "--blind") == 0)
		return blind_run(argv + 2);
	if (argc < 3)
		return 2;
	arguments = argv + 3;
	n_arguments = argc - 3;
	if (chdir("/tmp")) /* where `files` starts; `compute` may not */
		errno = 0;
	return run_all(argv[1]);
}
