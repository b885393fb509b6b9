/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_limits.c: that each limit ends a box within a second of being passed, and for the right reason.
 *
 *	bench_limits SANDBOX BEYOND
 *
 * BEYOND (static_beyond.c) goes beyond each of them, in each profile, in boxes of a warm keeper and of one launch,
 * with a cgroup and without one. What is measured is from the moment that BEYOND says, or from the last byte that
 * was let through, until we hear that the box is over; of the CPU limit also the time used beyond it, as the report
 * and as our own children's times (getrusage(2)) give it; 0: it was ended before it came to say so, or
 * cannot know (the CPU time of several processes). Exit 1: one took more than a second, got more than it may, or
 * ended for another reason.
 */
#include "sandbox/limit.h"
#include "sandbox/space.h"
#include "tests/bench/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MOST_US 1000000
#define MIB 1048576LL
#define OPTIONS_MAX 12
#define COMPUTE 1
#define WITH_FILES 2 /* `files` and `image` */

enum limit { WALL, CPU, MEMORY, PROCESSES, DISK, OUTPUT, OPEN_FILES };
static const struct kind {
	const char *reason, *unit;
	bool exact; /* it cannot get more than the limit, or than one more */
} kinds[] = {
	[WALL] = { "wall", NULL, false },
	[CPU] = { "cpu", NULL, false },
	[MEMORY] = { "memory", "MiB", false },
	[PROCESSES] = { "processes", "tasks", true },
	[DISK] = { "disk", "MiB", true },
	[OUTPUT] = { "output", "bytes", true },
	[OPEN_FILES] = { "exited", "open files", true }, /* it is only refused more */
};

static const struct row {
	enum limit limit;
	int profiles;
	const char *what, *most, *n; /* of BEYOND */
	const char *options[7];
	const char *unit; /* NULL: its kind's */
} rows[] = {
	{ WALL, COMPUTE | WITH_FILES, "wall", "1", "1", { "--wall", "1" }, NULL },
	{ WALL, COMPUTE, "stubborn", "1", "1", { "--wall", "1" }, NULL },
	{ WALL, WITH_FILES, "stubborn", "1", "4", { "--wall", "1" }, NULL },
	{ CPU, COMPUTE | WITH_FILES, "cpu", "1", "1", { "--cpu", "1" }, NULL },
	{ CPU, COMPUTE | WITH_FILES, "cpu-threads", "1", "4", { "--cpu", "1", "--threads", "4" },
		NULL },
	{ CPU, WITH_FILES, "cpu", "1", "4", { "--cpu", "1" }, NULL },
	{ CPU, WITH_FILES, "cpu-forgotten", "1", "0", { "--cpu", "1" }, NULL },
	{ MEMORY, COMPUTE | WITH_FILES, "memory", "64", "1", { "--memory", "64" }, NULL },
	{ MEMORY, COMPUTE | WITH_FILES, "memory-later", "64", "1", { "--memory", "64" }, NULL },
	{ MEMORY, WITH_FILES, "memory", "64", "4", { "--memory", "64" }, NULL },
	{ PROCESSES, COMPUTE | WITH_FILES, "threads", "8", "0",
		{ "--processes", "1", "--threads", "8" }, NULL },
	{ PROCESSES, WITH_FILES, "processes", "8", "0", { "--processes", "8" }, NULL },
	{ DISK, WITH_FILES, "disk", "8", "1", { "--disk", "8" }, NULL },
	{ DISK, WITH_FILES, "disk", "8", "2", { "--disk", "8" }, NULL },
	{ DISK, WITH_FILES, "disk-sparse", "8", "1", { "--disk", "8" }, NULL },
	{ DISK, WITH_FILES, "disk-files", "8", "100000", { "--disk", "8" }, "files" },
	{ OUTPUT, COMPUTE | WITH_FILES, "output", "1", "1", { "--max-output", "1" }, NULL },
	{ OUTPUT, COMPUTE | WITH_FILES, "output", "1", "2", { "--max-output", "1" }, NULL },
	{ OPEN_FILES, WITH_FILES, "open-files", "256", "0", { NULL }, NULL },
};

static const char *sandbox, *beyond;
static char root[] = "/tmp/talkoot-bench-XXXXXX"; /* of `image` */
static int wrong;

/* What was seen of a box. */
struct seen {
	long long passed_us, last_us, over_us; /* monotonic; 0: it did not say */
	long long units, bytes;
	double own_cpu_s;
	char report[4096];
};

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static double children_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_CHILDREN, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* --- a box ---------------------------------------------------------------------------------------------- */

/* Lines may come in pieces, but each is written at once and is shorter than a pipe's page. */
static void hear_words(struct seen *s, const char *text)
{
	for (const char *at = text; *at; at++) {
		s->units += *at == '+';
		if (*at == 'T' && !s->passed_us)
			s->passed_us = atoll(at + 1);
	}
}

/* Until its end. */
static void hear(struct seen *s, int from)
{
	static char text[65537];
	ssize_t n;

	while ((n = read(from, text, sizeof(text) - 1)) > 0) {
		text[n] = 0;
		hear_words(s, text);
		s->bytes += n;
		s->last_us = now_us();
	}
}

static void read_report(struct seen *s, int fd)
{
	ssize_t n = pread(fd, s->report, sizeof(s->report) - 1, 0);

	s->report[n > 0 ? n : 0] = 0;
}

static void options_of(const char *options[OPTIONS_MAX], const struct row *r, const char *profile)
{
	size_t n = 0;

	if (strcmp(profile, "image") == 0) {
		options[n++] = "--root";
		options[n++] = root;
	}
	for (size_t i = 0; i < LEN(r->options) && r->options[i]; i++)
		options[n++] = r->options[i];
	options[n] = NULL;
}

static void by_keeper(struct seen *s, const struct row *r, const char *profile)
{
	bool image = strcmp(profile, "image") == 0;
	const char *options[OPTIONS_MAX];
	const char *words[] = { image ? "/beyond" : "beyond", r->what, r->most, r->n, NULL };
	int file = open(image ? root : beyond, O_RDONLY | O_CLOEXEC), ends[2];
	struct keeper_box b = { options, words, &file, 1, 0 };
	double before = children_s();
	struct keeper k;

	options_of(options, r, profile);
	if (file < 0 || pipe2(ends, O_CLOEXEC))
		die(beyond);
	b.out = ends[1];
	keeper_start(&k, sandbox, profile);
	keeper_ask(&k, &b);
	close(ends[1]);
	hear(s, ends[0]);
	(void)keeper_hear(&k);
	s->over_us = now_us();
	read_report(s, k.report);
	keeper_end(&k);
	s->own_cpu_s = children_s() - before;
	close(ends[0]);
	close(file);
}

static pid_t start_once(char **argv, int out)
{
	pid_t pid = vfork();

	if (pid == 0) {
		dup2(out, 1);
		dup2(out, 2);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static void by_launch(struct seen *s, const struct row *r, const char *profile)
{
	static const char report[] = "/dev/shm/talkoot-bench-limits";
	const char *options[OPTIONS_MAX],
		*argv[OPTIONS_MAX + 10] = { sandbox, "--profile", profile, "--report", report };
	const char *words[] = { "--", strcmp(profile, "image") == 0 ? "/beyond" : beyond, r->what,
		r->most, r->n };
	size_t n = 5;
	double before = children_s();
	int ends[2], fd;
	pid_t pid;

	options_of(options, r, profile);
	for (size_t i = 0; options[i]; i++)
		argv[n++] = options[i];
	memcpy(argv + n, words, sizeof(words));
	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	pid = start_once((char **)(uintptr_t)argv, ends[1]);
	close(ends[1]);
	hear(s, ends[0]);
	if (waitpid(pid, NULL, 0) != pid)
		die(sandbox);
	s->over_us = now_us();
	s->own_cpu_s = children_s() - before;
	close(ends[0]);
	fd = open(report, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(report);
	read_report(s, fd);
	close(fd);
	(void)unlink(report);
}

/* --- judging -------------------------------------------------------------------------------------------- */

static double number(const char *report, const char *key)
{
	const char *at = strstr(report, key);

	return at ? atof(at + strlen(key)) : 0;
}

/* How long it was there beyond the limit. */
static long long over_us(const struct seen *s, const struct row *r)
{
	if (r->limit == OPEN_FILES)
		return 0;
	if (r->limit == OUTPUT)
		return s->over_us - s->last_us;
	if (!s->passed_us) /* it was ended at the very limit */
		return 0;
	return s->over_us - s->passed_us - (r->limit == WALL ? atoll(r->most) * 1000000 : 0);
}

/* What can be told from being at the limit is being beyond it: for that there is a little room. */
static long long most_units(const struct row *r)
{
	long long most = atoll(r->most);

	if (r->unit)
		return SPACE_INODES + SPACE_INODE_SLACK;
	if (r->limit == DISK)
		return most + SPACE_DISK_SLACK_MIB;
	return r->limit == OUTPUT ? most * MIB : most + (r->limit == PROCESSES);
}

static void judge(const struct seen *s, const struct row *r)
{
	const struct kind *kind = &kinds[r->limit];
	const char *unit = r->unit ? r->unit : kind->unit;
	long long us = over_us(s, r), units = r->limit == OUTPUT ? s->bytes : s->units;
	double cpu_s = number(s->report, "\"cpu_s\":");
	char want[40];

	cpu_s = (cpu_s > s->own_cpu_s ? cpu_s : s->own_cpu_s) - atof(r->most);
	snprintf(want, sizeof(want), "\"reason\":\"%s\"", kind->reason);
	printf("%7.3f s", (double)us / 1e6);
	if (r->limit == CPU)
		printf(", %.3f s of CPU beyond", cpu_s);
	if (unit)
		printf(", got %lld %s of %lld", units, unit,
			kind->exact ? most_units(r) : atoll(r->most));
	if (us > MOST_US || (r->limit == CPU && cpu_s > 1)) {
		printf("  LATE");
		wrong++;
	}
	if (kind->exact && units > most_units(r)) {
		printf("  TOO MUCH");
		wrong++;
	}
	if (!strstr(s->report, want)) {
		printf("  WRONG REASON, not %s: %s", kind->reason, s->report);
		wrong++;
	}
	putchar('\n');
}

/* --- all of them ------------------------------------------------------------------------------------------ */

static const struct way {
	const char *name;
	void (*box)(struct seen *s, const struct row *r, const char *profile);
} ways[] = { { "keeper", by_keeper }, { "launch", by_launch } };

static void all_rows(const struct way *w, const char *profile, const char *cgroup)
{
	int which = strcmp(profile, "compute") == 0 ? COMPUTE : WITH_FILES;

	for (size_t i = 0; i < LEN(rows); i++) {
		static struct seen s;
		const struct row *r = &rows[i];

		if (!(r->profiles & which))
			continue;
		memset(&s, 0, sizeof(s));
		w->box(&s, r, profile);
		printf("  %-7s %-6s %-10s %-9s %-13s x %-6s", profile, w->name, cgroup,
			kinds[r->limit].reason, r->what, r->n);
		judge(&s, r);
	}
}

static void all(const char *cgroup)
{
	static const char *const profiles[] = BOX_PROFILE_NAMES;

	for (size_t i = 0; i < LEN(ways); i++) {
		for (size_t k = 0; k < LEN(profiles); k++)
			all_rows(&ways[i], profiles[k], cgroup);
	}
}

static bool has_cgroup(void)
{
	static struct seen s;

	by_keeper(&s, &rows[0], "compute");
	return strstr(s.report, "\"cgroup\"") != NULL;
}

/* In a table of mounts in which there are none. */
static int all_without(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			(access("/sys/fs/cgroup", F_OK) == 0 &&
				mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL)))
			die("hiding the cgroups");
		wrong = 0;
		all("no cgroup");
		_exit(wrong > 100 ? 100 : wrong);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		die("the rows without a cgroup");
	return WEXITSTATUS(status);
}

static void make_root(void)
{
	char cmd[256];

	if (!mkdtemp(root) || chmod(root, 0755))
		die("a folder for an image");
	snprintf(cmd, sizeof(cmd), "cp %s %s/beyond", beyond, root);
	if (system(cmd))
		die("a folder for an image");
}

int main(int argc, char **argv)
{
	char cmd[64];

	if (argc < 3) {
		fprintf(stderr, "usage: bench_limits SANDBOX BEYOND\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sandbox = argv[1];
	beyond = argv[2];
	make_root();
	printf("how long after a limit was passed the box was over, and what it got\n");
	if (has_cgroup())
		all("cgroup");
	else
		printf("no cgroup is granted here: all is without\n");
	if (geteuid() == 0)
		wrong += all_without();
	else if (!has_cgroup())
		all("no cgroup");
	else
		printf("skipped: all without a cgroup: hiding them needs root\n");
	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	if (wrong)
		printf("bench_limits: %d of these are wrong\n", wrong);
	return system(cmd) != 0 || wrong != 0;
}
