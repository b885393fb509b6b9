/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_sandbox.c: what a launch costs, beside the machine's own limit and other launchers.
 *
 *	bench_sandbox SANDBOX NOOP WAIT [N]
 *
 * A launch is: start NOOP (static, does nothing), wait for its end, and know how it ended. The ways are
 * taken in turn, N times each, so that whatever else the machine does hits all of them alike; ratios
 * are to vfork + exec of the same file in the same run, and fork + exec stands beside it. Nothing is asserted; it prints.
 */
#include "tests/bench/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_N 5000

static const char *sandbox, *noop, *waiting;
/* In memory, as the keepers': to empty a file that the last launch wrote waits for the disk. */
static const char once_report[] = "/dev/shm/talkoot-bench-report";
static char crun_bundle[] = "/tmp/talkoot-bench-XXXXXX";

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* --- the ways ------------------------------------------------------------------------------------------ */

static struct keeper compute, files;
static int program; /* NOOP, open */

static void run(char *const argv[])
{
	char *none[] = { NULL };
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		execve(argv[0], argv, none);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die(argv[0]);
}

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void bare(void)
{
	char *argv[] = { text(noop), NULL };

	run(argv);
}

/* What a launcher that forks pays, however small it is. */
static void forked(void)
{
	char *argv[] = { text(noop), NULL }, *none[] = { NULL };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execve(argv[0], argv, none);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die(argv[0]);
}

static int execute(void *unused)
{
	char *argv[] = { text(noop), NULL }, *none[] = { NULL };

	(void)unused;
	execve(noop, argv, none);
	_exit(127);
}

/* What the kernel asks for the six namespaces of a box, with nothing in them: no launcher that makes them all
 * anew for each start can be faster. */
static void namespaces(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	int status;
	pid_t pid = clone(execute, stack + sizeof(stack),
		CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET |
			CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD,
		NULL);

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("namespaces");
}

static void warm_compute(void)
{
	keeper_launch(&compute, program);
}

static void warm_files(void)
{
	keeper_launch(&files, program);
}

static void once(const char *profile)
{
	char *argv[] = { text(sandbox), "--profile", text(profile), "--priority", "normal",
		"--report", text(once_report), "--", text(noop), NULL };

	run(argv);
}

static void once_compute(void)
{
	once("compute");
}

static void once_files(void)
{
	once("files");
}

/* As it is usually called to give a program as little as possible. */
static void bubblewrap(void)
{
	char *argv[] = { "/usr/bin/bwrap", "--unshare-all", "--die-with-parent", "--new-session",
		"--clearenv", "--ro-bind", text(noop), "/noop", "--proc", "/proc", "--dev", "/dev",
		"--tmpfs", "/tmp", "/noop", NULL };

	run(argv);
}

/* crun refuses to start beside a mixture of both versions of cgroups, even when told to use none: then it
 * is given a mount table of its own in which the second is not (`crun_alone`). */
static bool crun_alone;

static pid_t start_crun(int err)
{
	char *argv[] = { "/usr/bin/crun", "--cgroup-manager=disabled", "run", "-b", crun_bundle,
		"talkoot-bench", NULL };
	char *none[] = { NULL };
	pid_t pid = vfork();

	if (pid == 0) {
		if (crun_alone && (unshare(CLONE_NEWNS) ||
					  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
					  umount2("/sys/fs/cgroup/unified", MNT_DETACH)))
			_exit(126);
		dup2(err, 2);
		execve(argv[0], argv, none);
		_exit(127);
	}
	return pid;
}

static void crun(void)
{
	int status;
	pid_t pid = start_crun(2);

	if (waitpid(pid, &status, 0) != pid || status)
		die("crun");
}

static struct way {
	const char *name, *needs;
	const char *why; /* it is left out */
	void (*launch)(void);
	int share; /* how many of the N rounds: slow ones are taken less often */
	double us[MAX_N];
	int n;
} ways[] = {
	{ .name = "vfork + exec", .launch = bare, .share = 1 },
	{ .name = "compute, warm", .launch = warm_compute, .share = 1 },
	/* in between, so that one keeper makes its next box while neither is asked */
	{ .name = "fork + exec", .launch = forked, .share = 1 },
	{ .name = "files, warm", .launch = warm_files, .share = 1 },
	{ .name = "namespaces alone", .launch = namespaces, .share = 1 },
	{ .name = "compute, one-shot", .launch = once_compute, .share = 1 },
	{ .name = "files, one-shot", .launch = once_files, .share = 1 },
	{ .name = "bubblewrap", .needs = "/usr/bin/bwrap", .launch = bubblewrap, .share = 4 },
	{ .name = "crun", .needs = "/usr/bin/crun", .launch = crun, .share = 16 },
};
enum { BWRAP = 7, CRUN };

/* --- latency --------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double at(const struct way *w, int percent)
{
	return w->us[w->n * percent / 100];
}

static void latency(int n)
{
	for (int i = 0; i < n; i++) {
		for (size_t j = 0; j < LEN(ways); j++) {
			struct way *w = &ways[j];
			double begin;

			if (i % w->share || w->why || (w->needs && access(w->needs, X_OK)))
				continue;
			begin = now_us();
			w->launch();
			w->us[w->n++] = now_us() - begin;
		}
	}
	printf("launch and exit of a static no-op, one at a time, microseconds (ratio to the first "
	       "line)\n");
	for (size_t j = 0; j < LEN(ways); j++) {
		struct way *w = &ways[j];

		if (w->n == 0) {
			printf("  %-18s %s\n", w->name, w->why ? w->why : "not installed");
			continue;
		}
		qsort(w->us, (size_t)w->n, sizeof(double), by_size);
		printf("  %-18s n %4d  min %6.0f (%.2fx)  p10 %6.0f (%.2fx)  median %6.0f "
		       "(%.2fx)\n",
			w->name, w->n, at(w, 0), at(w, 0) / at(&ways[0], 0), at(w, 10),
			at(w, 10) / at(&ways[0], 10), at(w, 50), at(w, 50) / at(&ways[0], 50));
	}
}

/* --- throughput ------------------------------------------------------------------------------------------- */

#define LOOPS 2
#define SECONDS 2.0

/* Its own keeper for each loop: two workers. */
static int loop_for(const struct way *w)
{
	double end = now_us() + SECONDS * 1e6;
	int n = 0;

	keeper_start(&compute, sandbox, "compute");
	keeper_start(&files, sandbox, "files");
	for (; now_us() < end; n++)
		w->launch();
	keeper_end(&compute);
	keeper_end(&files);
	return n;
}

static double per_second(const struct way *w)
{
	int ends[2], total = 0, n;

	if (pipe(ends))
		die("pipe");
	for (int i = 0; i < LOOPS; i++) {
		if (fork() == 0) {
			n = loop_for(w);
			_exit(write(ends[1], &n, sizeof(n)) != sizeof(n));
		}
	}
	for (int i = 0; i < LOOPS; i++) {
		if (read(ends[0], &n, sizeof(n)) != sizeof(n))
			die("a loop failed");
		total += n;
		wait(NULL);
	}
	close(ends[0]);
	close(ends[1]);
	return total / SECONDS;
}

static void throughput(void)
{
	double bwrap = 0, first = 0;

	printf("launches per second, %d loops on %ld processors\n", LOOPS,
		sysconf(_SC_NPROCESSORS_ONLN));
	if (access("/usr/bin/bwrap", X_OK) == 0)
		bwrap = per_second(&ways[BWRAP]);
	for (size_t j = 0; j < BWRAP; j++) {
		double n = per_second(&ways[j]);

		first = j == 0 ? n : first;
		printf("  %-18s %6.0f  (%3.0f %% of the first line", ways[j].name, n,
			100 * n / first);
		printf(bwrap > 0 ? ", %.1fx bubblewrap's)\n" : ")\n", n / bwrap);
	}
	if (bwrap > 0)
		printf("  %-18s %6.0f\n", "bubblewrap", bwrap);
}

/* --- what a running box takes ------------------------------------------------------------------------------- */

#define RUNNING 100

static long field(const char *file, const char *name)
{
	FILE *f = fopen(file, "re");
	char line[256];
	long kib = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, strlen(name)) == 0)
			kib = atol(line + strlen(name));
	}
	if (f)
		fclose(f);
	return kib;
}

static long kernel_kib(void)
{
	return field("/proc/meminfo", "Slab:") + field("/proc/meminfo", "Percpu:") +
	       field("/proc/meminfo", "KernelStack:") + field("/proc/meminfo", "PageTables:");
}

/* The keeper's own, inits included: they share it. */
static long user_kib(pid_t pid)
{
	char file[64];

	snprintf(file, sizeof(file), "/proc/%d/status", pid);
	return field(file, "RssAnon:");
}

static void settle(void)
{
	struct timespec t = { 1, 0 }; /* the kernel frees namespaces later; nothing tells when */

	nanosleep(&t, NULL);
}

static long bare_kib(void)
{
	char *argv[] = { text(waiting), NULL }, *none[] = { NULL };
	pid_t pids[RUNNING];
	long before, used;

	settle();
	before = kernel_kib();
	for (int i = 0; i < RUNNING; i++) {
		if (posix_spawn(&pids[i], waiting, NULL, NULL, argv, none))
			die(waiting);
	}
	settle();
	used = kernel_kib() - before;
	for (int i = 0; i < RUNNING; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return used;
}

static void memory(const char *profile, long bare_used)
{
	int waits = open(waiting, O_RDONLY | O_CLOEXEC);
	struct keeper k;
	long kernel, user;

	keeper_start(&k, sandbox, profile);
	keeper_launch(&k, program);
	settle();
	kernel = kernel_kib();
	user = user_kib(k.pid);
	for (int i = 0; i < RUNNING; i++)
		keeper_ask_plain(&k, waits);
	settle();
	printf("  %-18s kernel %4ld KiB, user %4ld KiB a running box (of %d; the program's own "
	       "taken off)\n",
		profile, (kernel_kib() - kernel - bare_used) / RUNNING,
		(user_kib(k.pid) - user) / RUNNING, RUNNING);
	close(waits);
	keeper_end(&k);
}

/* --- the whole ------------------------------------------------------------------------------------------------ */

static void make_bundle(void)
{
	static const char config[] =
		"{\"ociVersion\":\"1.0.0\",\"process\":{\"terminal\":false,\"user\":{\"uid\":0,"
		"\"gid\":0},"
		"\"args\":[\"/noop\"],\"cwd\":\"/"
		"\",\"noNewPrivileges\":true},\"root\":{\"path\":\"rootfs\","
		"\"readonly\":true},\"mounts\":[],\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{"
		"\"type\":"
		"\"ipc\"},"
		"{\"type\":\"uts\"},{\"type\":\"mount\"},{\"type\":\"network\"}]}}";
	char cmd[512];
	FILE *f;

	if (!mkdtemp(crun_bundle))
		die("a folder for crun");
	snprintf(cmd, sizeof(cmd), "mkdir -p %s/rootfs/dev && cp %s %s/rootfs/noop", crun_bundle,
		noop, crun_bundle);
	if (system(cmd))
		die("a bundle for crun");
	snprintf(cmd, sizeof(cmd), "%s/config.json", crun_bundle);
	f = fopen(cmd, "we");
	if (!f || fputs(config, f) == EOF || fclose(f))
		die("a bundle for crun");
}

/* One try; what it says when it fails, without the end of the line. */
static int try_crun(char *said, size_t room)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	pid = start_crun(ends[1]);
	close(ends[1]);
	n = read(ends[0], said, room - 1);
	said[n > 0 ? n : 0] = 0;
	said[strcspn(said, "\n")] = 0;
	close(ends[0]);
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static void prepare_crun(void)
{
	static char said[200], alone[200];

	if (access(ways[CRUN].needs, X_OK) || try_crun(said, sizeof(said)) == 0)
		return;
	crun_alone = true;
	if (try_crun(alone, sizeof(alone)))
		ways[CRUN].why = alone;
	else
		printf("crun says \"%s\": it is run without the second mount of cgroups\n", said);
}

int main(int argc, char **argv)
{
	int n = argc > 4 ? atoi(argv[4]) : 400;
	char cmd[128];
	long used;

	if (argc < 4 || n < 1 || n > MAX_N) {
		fprintf(stderr, "usage: bench_sandbox SANDBOX NOOP WAIT [N]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sandbox = argv[1];
	noop = argv[2];
	waiting = argv[3];
	program = open(noop, O_RDONLY | O_CLOEXEC);
	if (program < 0)
		die(noop);
	make_bundle();
	prepare_crun();
	keeper_start(&compute, sandbox, "compute");
	keeper_start(&files, sandbox, "files");
	latency(n);
	keeper_end(&compute);
	keeper_end(&files);
	throughput();
	printf("memory\n");
	used = bare_kib();
	memory("compute", used);
	memory("files", used);
	(void)unlink(once_report);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", crun_bundle);
	return system(cmd) != 0;
}
