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
static bool read_file(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
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

static bool read_proc(pid_t pid, const char *name, char *text, size_t room)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return read_file(path, text, room);
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

static void add_children(struct tree *t, const char *path)
{
	char text[16384];
	char *at = text, *end;

	if (!read_file(path, text, sizeof(text)))
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
static void add_below(struct tree *t, pid_t pid)
{
	char path[320];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/children", pid, e->d_name);
		add_children(t, path);
	}
	if (d)
		closedir(d);
}

/* proc_pid_stat(5): fields 14 to 17 are times in ticks, 20 is the number of threads. They are
 * counted after the last ')', for the name may hold anything. */
static void add_times(struct limit_use *u, const char *stat, bool is_init)
{
	unsigned long long own, sys, c_own, c_sys;
	const char *at = strrchr(stat, ')');
	long threads;

	if (!at || sscanf(at,
			   ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %llu %llu %*s "
	                   "%*s %ld",
			   &own, &sys, &c_own, &c_sys, &threads) != 5)
		return;
	u->cpu_us += (int64_t)(own + sys + c_own + c_sys) * (1000000 / sysconf(_SC_CLK_TCK));
	if (!is_init) {
		u->tasks += threads > 0 ? threads : 1; /* a zombie still has its place */
		u->processes++;
	}
}

static int64_t kib_after(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

static int64_t memory_of(pid_t pid)
{
	char text[4096];

	if (!read_proc(pid, "status", text, sizeof(text)))
		return 0;
	return kib_after(text, "\nRssAnon:") + kib_after(text, "\nVmSwap:") +
	       kib_after(text, "\nVmPTE:");
}

/* The same, but a page that k processes share counts 1/k in each; dearer to ask. */
static int64_t share_of(pid_t pid)
{
	char text[4096], status[4096];

	if (!read_proc(pid, "smaps_rollup", text, sizeof(text)) || !strstr(text, "\nPss_Anon:") ||
		!read_proc(pid, "status", status, sizeof(status)))
		return memory_of(pid);
	return kib_after(text, "\nPss_Anon:") + kib_after(text, "\nSwapPss:") +
	       kib_after(status, "\nVmPTE:");
}

int limit_can_look(struct why *w)
{
	if (access("/proc/thread-self/children", R_OK))
		return why_sys(w, "rlimits: watching a box needs /proc with CONFIG_PROC_CHILDREN");
	return 0;
}

void limit_look(struct limit_use *u, pid_t init, int64_t enough_kib)
{
	static struct tree t; /* large */
	char stat[1024];

	memset(u, 0, sizeof(*u));
	t.pids[0] = init;
	t.n = 1;
	for (size_t i = 0; i < t.n; i++) {
		add_below(&t, t.pids[i]);
		if (read_proc(t.pids[i], "stat", stat, sizeof(stat)))
			add_times(u, stat, i == 0);
		if (i > 0)
			u->memory_kib += memory_of(t.pids[i]);
	}
	if (u->memory_kib <= enough_kib || t.n <= 2)
		return;
	u->memory_kib = 0;
	for (size_t i = 1; i < t.n; i++)
		u->memory_kib += share_of(t.pids[i]);
}
