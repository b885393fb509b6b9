/* SPDX-License-Identifier: Apache-2.0
 *
 * limit_look.c: the sampler: what a box uses now, as /proc tells it from outside.
 *
 * All processes of a box descend from its init (orphans are given to it), so the tree below it is
 * all there is. CPU time: what each has used plus what its waited-for children had. A child whose
 * parent ignores SIGCHLD is in no such sum once it is gone; the wall limit bounds that.
 */
#include "sandbox/limit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than any box may have; a tree that is larger is cut and judged by what was seen. */
#define TREE_MAX 8192

struct tree {
	pid_t pids[TREE_MAX];
	size_t n;
};

/* Bytes of the file at `path` in `text`, NUL-terminated; the process may be gone any time. */
static bool read_file(int dir, const char *path, char *text, size_t room)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, room - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	return true;
}

static bool read_proc(int proc, pid_t pid, const char *name, char *text, size_t room)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", pid, name);
	return read_file(proc, path, text, room);
}

/* When a thread ends, its children pass to another, whose list may be the next we read. */
static void add_once(struct tree *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->pids[i] == pid)
			return;
	}
	t->pids[t->n++] = pid;
}

static void add_children(struct tree *t, int tasks, const char *path)
{
	char text[16384];
	char *at = text, *end;

	if (!read_file(tasks, path, text, sizeof(text)))
		return;
	for (;;) {
		long pid = strtol(at, &end, 10);

		if (end == at || t->n == TREE_MAX)
			return;
		add_once(t, (pid_t)pid);
		at = end;
	}
}

/* The children of all threads of `pid`: a child belongs to the thread that made it. */
static void add_below(struct tree *t, int proc, pid_t pid)
{
	char path[320];
	struct dirent *e;
	DIR *d;
	int fd;

	snprintf(path, sizeof(path), "%d/task", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/children", e->d_name);
		add_children(t, fd, path);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* proc_pid_stat(5): fields 14 to 17 are times in ticks, 20 is the number of threads. They are
 * counted after the last ')', for the name may hold anything. */
struct times {
	unsigned long long own, sys, c_own, c_sys;
	long threads;
};

static bool read_times(struct times *t, const char *stat)
{
	const char *at = strrchr(stat, ')');

	return at && sscanf(at,
			     ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %llu %llu "
			     "%*s %*s %ld",
			     &t->own, &t->sys, &t->c_own, &t->c_sys, &t->threads) == 5;
}

static int64_t ticks_us(unsigned long long ticks)
{
	return (int64_t)ticks * (1000000 / sysconf(_SC_CLK_TCK));
}

static void add_times(struct limit_use *u, const char *stat)
{
	struct times t;

	if (!read_times(&t, stat))
		return;
	u->cpu_us += ticks_us(t.own + t.sys + t.c_own + t.c_sys);
	u->tasks += t.threads > 0 ? t.threads : 1; /* a zombie still has its place */
	u->processes++;
}

static void add_waited(struct limit_use *u, const char *stat)
{
	struct times t;

	if (read_times(&t, stat))
		u->cpu_us += ticks_us(t.c_own + t.c_sys);
}

static int64_t kib_after(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

/* "PID/NAME", or when the leader of its threads has ended, and so says nothing of memory, the same of a
 * thread that is left: "PID/task/TID/NAME". `sign` is in a full answer. */
static bool read_living(
	int proc, pid_t pid, const char *name, const char *sign, char *text, size_t room)
{
	char path[320];
	struct dirent *e;
	bool found = false;
	DIR *d;
	int fd;

	if (read_proc(proc, pid, name, text, room) && strstr(text, sign))
		return true;
	snprintf(path, sizeof(path), "%d/task", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	while (d && !found && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", e->d_name, name);
		found = e->d_name[0] != '.' && read_file(fd, path, text, room) &&
		        strstr(text, sign);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return found;
}

static int64_t memory_of(int proc, pid_t pid)
{
	char text[4096];

	if (!read_living(proc, pid, "status", "\nRssAnon:", text, sizeof(text)))
		return 0;
	return kib_after(text, "\nRssAnon:") + kib_after(text, "\nVmSwap:") +
	       kib_after(text, "\nVmPTE:");
}

/* The same, but a page that k processes share counts 1/k in each; dearer to ask. */
static int64_t share_of(int proc, pid_t pid)
{
	char text[4096], status[4096];

	if (!read_proc(proc, pid, "smaps_rollup", text, sizeof(text)) ||
		!strstr(text, "\nPss_Anon:") ||
		!read_living(proc, pid, "status", "\nVmPTE:", status, sizeof(status)))
		return memory_of(proc, pid);
	return kib_after(text, "\nPss_Anon:") + kib_after(text, "\nSwapPss:") +
	       kib_after(status, "\nVmPTE:");
}

int limit_can_look(int proc, struct why *w)
{
	if (faccessat(proc, "thread-self/children", R_OK, 0))
		return why_sys(w, "rlimits: watching a box needs /proc with CONFIG_PROC_CHILDREN");
	return 0;
}

/* Everything below `init`, which comes first itself. */
static const struct tree *list(int proc, pid_t init)
{
	static struct tree t; /* large */

	t.pids[0] = init;
	t.n = 1;
	for (size_t i = 0; i < t.n; i++)
		add_below(&t, proc, t.pids[i]);
	return &t;
}

void limit_look(struct limit_use *u, int proc, pid_t init, int64_t enough_kib)
{
	const struct tree *t = list(proc, init);
	char stat[1024];

	memset(u, 0, sizeof(*u));
	for (size_t i = 1; i < t->n; i++) {
		if (read_proc(proc, t->pids[i], "stat", stat, sizeof(stat)))
			add_times(u, stat);
		u->memory_kib += memory_of(proc, t->pids[i]);
	}
	/* what the init has waited for: orphans that ended */
	if (read_proc(proc, init, "stat", stat, sizeof(stat)))
		add_waited(u, stat);
	if (u->memory_kib <= enough_kib || t->n <= 2)
		return;
	u->memory_kib = 0;
	for (size_t i = 1; i < t->n; i++)
		u->memory_kib += share_of(proc, t->pids[i]);
}

/* --- stopping from outside ------------------------------------------------------------------------- */

/* The letter of its state: R S D T t Z X, or 0 when it is gone. */
static char state_of(int proc, pid_t pid)
{
	char stat[1024];
	const char *at;

	if (!read_proc(proc, pid, "stat", stat, sizeof(stat)) || !(at = strrchr(stat, ')')))
		return 0;
	return at[1] == ' ' ? at[2] : 0;
}

int limit_hold(int proc, pid_t init)
{
	const struct tree *t = list(proc, init);
	int running = 0;

	for (size_t i = 1; i < t->n; i++) {
		char state = state_of(proc, t->pids[i]);

		if (state == 0 || strchr("TtZX", state))
			continue;
		running++;
		kill(t->pids[i], SIGSTOP);
	}
	return running;
}

void limit_release(int proc, pid_t init)
{
	const struct tree *t = list(proc, init);

	for (size_t i = 1; i < t->n; i++)
		kill(t->pids[i], SIGCONT);
}
