/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_leaves.c: that launches leave nothing behind.
 *
 *	bench_leaves SANDBOX NOOP WAIT [LAUNCHES]
 *
 * A keeper of each profile is brought to its most: more boxes at once than it keeps cgroups and memory for. From
 * then on nothing may grow: what it has is counted, LAUNCHES boxes later again, and once more when it has ended.
 * Only the cgroups that it keeps for reuse come and go, and with each its descriptors: by one, at the most of them.
 * Exit 1: something did, or something is there.
 */
#include "sandbox/limit.h"
#include "tests/bench/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 24                           /* more than LIMIT_CGROUPS_IDLE and IDLE_MAX */
#define CGROUPS_MAX (LIMIT_CGROUPS_IDLE + 1) /* one is of the box that stands by */
#define OF_A_CGROUP 3                        /* descriptors: limit.h */
#define WARM_UP 100                          /* then one at a time */
#define SETTLE_S 20                          /* at most, for what ended to be gone */
#define PIECE_BYTES 8 /* half of the least that malloc gives: one lost in each launch is more */
#define PAGES_KIB 64  /* first touched late: stacks, free lists */

struct count {
	int descriptors, processes, cgroups, mounts, own_mounts;
	long memory_kib;
};

/* --- counting ---------------------------------------------------------------------------------------- */

static int descriptors_of(pid_t pid)
{
	char name[64];
	int n = 0;
	DIR *d;

	snprintf(name, sizeof(name), "/proc/%d/fd", pid);
	d = opendir(name);
	if (!d)
		die(name);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* All below it. */
static int processes_of(pid_t pid)
{
	char name[64];
	int n = 0, child;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(name, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		n += 1 + processes_of(child);
	if (f)
		fclose(f);
	return n;
}

static char cgroup_prefix[32];
static int cgroups_found;

static int is_cgroup(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	cgroups_found += type == FTW_D &&
	                 strncmp(path + at->base, cgroup_prefix, strlen(cgroup_prefix)) == 0;
	return 0;
}

static int cgroups_of(pid_t pid)
{
	snprintf(cgroup_prefix, sizeof(cgroup_prefix), "talkoot-%d-", pid);
	cgroups_found = 0;
	(void)nftw("/sys/fs/cgroup", is_cgroup, 16, FTW_PHYS);
	return cgroups_found;
}

static int mounts_of(const char *who)
{
	char name[64];
	int n = 0, c;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%s/mountinfo", who);
	f = fopen(name, "re");
	while (f && (c = fgetc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static long memory_of(pid_t pid)
{
	char name[64], line[256];
	long kib = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/status", pid);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f))
		(void)sscanf(line, "RssAnon: %ld", &kib);
	if (f)
		fclose(f);
	return kib;
}

static struct count count(pid_t keeper)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", keeper);
	return (struct count){ descriptors_of(keeper), processes_of(keeper), cgroups_of(keeper),
		mounts_of("self"), mounts_of(name), memory_of(keeper) };
}

static bool alike(const struct count *a, const struct count *b)
{
	return a->descriptors == b->descriptors && a->processes == b->processes &&
	       a->cgroups == b->cgroups && a->mounts == b->mounts && a->own_mounts == b->own_mounts;
}

static void wait_ms(long ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Until it has been the same for half a second: the next box stands by, the last one is gone. */
static struct count at_rest(pid_t keeper)
{
	struct count last = count(keeper), now;
	int still = 0;

	for (int i = 0; i < SETTLE_S * 10 && still < 5; i++) {
		wait_ms(100);
		now = count(keeper);
		still = alike(&now, &last) ? still + 1 : 0;
		last = now;
	}
	return last;
}

/* --- judging ------------------------------------------------------------------------------------------- */

static int wrong;

static void exactly(const char *what, int before, int after)
{
	printf("  %-24s %4d -> %4d%s\n", what, before, after, before == after ? "" : "  GROWS");
	wrong += before != after;
}

static void judge(const struct count *a, const struct count *b, int launches)
{
	long more = b->memory_kib - a->memory_kib,
	     most = PAGES_KIB + (long)launches * PIECE_BYTES / 1024;

	exactly("its descriptors (*)", a->descriptors - a->cgroups * OF_A_CGROUP,
		b->descriptors - b->cgroups * OF_A_CGROUP);
	exactly("processes below it", a->processes, b->processes);
	printf("  %-24s %4d -> %4d of %d%s\n", "its cgroups", a->cgroups, b->cgroups, CGROUPS_MAX,
		b->cgroups <= CGROUPS_MAX ? "" : "  GROWS");
	wrong += b->cgroups > CGROUPS_MAX;
	exactly("mounts it sees", a->own_mounts, b->own_mounts);
	exactly("mounts of the machine", a->mounts, b->mounts);
	printf("  %-24s %4ld -> %4ld KiB (%+ld, of at most %+ld)%s\n", "its memory", a->memory_kib,
		b->memory_kib, more, most, more <= most ? "" : "  GROWS");
	wrong += more > most;
}

/* What loses its parent comes to us (PR_SET_CHILD_SUBREAPER): the dead ones are waited for. */
static int left_running(void)
{
	int n = 0;

	for (int i = 0; i < SETTLE_S * 10; i++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		n = processes_of(getpid());
		if (n == 0)
			break;
		wait_ms(100);
	}
	return n;
}

static void nothing_left(const char *what, int n)
{
	printf("  %-24s %4d%s\n", what, n, n == 0 ? "" : "  LEFT");
	wrong += n != 0;
}

/* --- launching ------------------------------------------------------------------------------------------ */

static void fill(struct keeper *k, int waiting)
{
	uint32_t first = k->id + 1;

	for (int i = 0; i < AT_ONCE; i++)
		keeper_ask_plain(k, waiting);
	wait_ms(200); /* all are looked at: those of `files` have what counts them */
	for (uint32_t i = 0; i < AT_ONCE; i++)
		keeper_kill(k, first + i);
	for (int i = 0; i < AT_ONCE; i++)
		(void)keeper_hear(k);
}

static void leaves(const char *sandbox, const char *profile, int noop, int waiting, int launches)
{
	struct count before, after;
	int mounts = mounts_of("self");
	struct keeper k;

	keeper_start(&k, sandbox, profile);
	fill(&k, waiting);
	for (int i = 0; i < WARM_UP; i++)
		keeper_launch(&k, noop);
	before = at_rest(k.pid);
	for (int i = 0; i < launches; i++)
		keeper_launch(&k, noop);
	after = at_rest(k.pid);
	printf("%d launches of %s leave of the keeper's\n", launches, profile);
	judge(&before, &after, launches);
	keeper_end(&k);
	nothing_left("once it ended: processes", left_running());
	nothing_left("cgroups", cgroups_of(k.pid));
	nothing_left("mounts", mounts_of("self") - mounts);
}

static int open_program(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

int main(int argc, char **argv)
{
	int launches = argc > 4 ? atoi(argv[4]) : 10000, noop, waiting;

	if (argc < 4 || launches < 1) {
		fprintf(stderr, "usage: bench_leaves SANDBOX NOOP WAIT [LAUNCHES]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* a table of mounts in which nobody else makes any, where we may */
	if (geteuid() == 0 &&
		(unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)))
		die("a mount namespace");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		die("PR_SET_CHILD_SUBREAPER");
	noop = open_program(argv[2]);
	waiting = open_program(argv[3]);
	leaves(argv[1], "compute", noop, waiting, launches);
	leaves(argv[1], "files", noop, waiting, launches);
	printf("(*) those of its cgroups aside, three each\n");
	if (wrong)
		printf("bench_leaves: %d of these are wrong\n", wrong);
	return wrong != 0;
}
