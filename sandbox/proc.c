/* SPDX-License-Identifier: Apache-2.0
 *
 * proc.c: see proc.h. The only file that lists or parses /proc for the sampler.
 */
#include "sandbox/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

bool proc_read(int proc, pid_t pid, const char *name, char *text, size_t room)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", pid, name);
	return read_file(proc, path, text, room);
}

static DIR *open_tasks(int proc, pid_t pid, int *fd)
{
	char path[32];
	DIR *d;

	snprintf(path, sizeof(path), "%d/task", pid);
	*fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = *fd < 0 ? NULL : fdopendir(*fd);
	if (!d && *fd >= 0)
		close(*fd);
	return d;
}

/* --- the tree ---------------------------------------------------------------------------------------- */

/* When a thread ends, its children pass to another, whose list may be the next we read. */
static void add_once(struct proc_tree *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->pids[i] == pid)
			return;
	}
	t->pids[t->n++] = pid;
}

/* Numbers with a blank after each. The kernel gives at most a page at a time, never a part of a number. */
static void add_numbers(struct proc_tree *t, const char *at)
{
	char *end;

	for (;;) {
		long pid = strtol(at, &end, 10);

		if (end == at || t->n == PROC_TREE_MAX)
			return;
		add_once(t, (pid_t)pid);
		at = end;
	}
}

static void add_children(struct proc_tree *t, int tasks, const char *path)
{
	int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	char text[16384];
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text, sizeof(text) - 1)) > 0) {
		text[n] = 0;
		add_numbers(t, text);
	}
	if (fd >= 0)
		close(fd);
}

/* The children of all threads of `pid`: a child belongs to the thread that made it. */
static void add_below(struct proc_tree *t, int proc, pid_t pid)
{
	char path[320];
	struct dirent *e;
	int fd;
	DIR *d = open_tasks(proc, pid, &fd);

	if (!d) {
		t->torn = true;
		return;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/children", e->d_name);
		add_children(t, fd, path);
	}
	closedir(d);
}

const struct proc_tree *proc_tree(int proc, pid_t init)
{
	static struct proc_tree t; /* large */

	t.pids[0] = init;
	t.n = 1;
	t.torn = false;
	for (size_t i = 0; i < t.n; i++)
		add_below(&t, proc, t.pids[i]);
	return &t;
}

/* --- one process --------------------------------------------------------------------------------------- */

bool proc_read_living(
	int proc, pid_t pid, const char *name, const char *sign, char *text, size_t room)
{
	char path[320];
	struct dirent *e;
	bool found = false;
	DIR *d;
	int fd;

	if (proc_read(proc, pid, name, text, room) && strstr(text, sign))
		return true;
	d = open_tasks(proc, pid, &fd);
	while (d && !found && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", e->d_name, name);
		found = e->d_name[0] != '.' && read_file(fd, path, text, room) &&
		        strstr(text, sign);
	}
	if (d)
		closedir(d);
	return found;
}

size_t proc_threads(int proc, pid_t pid, pid_t *tids, size_t n, size_t room)
{
	struct dirent *e;
	int fd;
	DIR *d = open_tasks(proc, pid, &fd);

	while (d && n < room && (e = readdir(d))) {
		if (e->d_name[0] != '.')
			tids[n++] = (pid_t)strtol(e->d_name, NULL, 10);
	}
	if (d)
		closedir(d);
	return n;
}

int64_t proc_number(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

static int64_t ticks_us(unsigned long long ticks)
{
	return (int64_t)ticks * (1000000 / sysconf(_SC_CLK_TCK));
}

/* Fields are counted after the last ')', for the name may hold anything: 3 is the state, 14 to 17 are times
 * in ticks, 20 is the number of threads. */
bool proc_times(struct proc_times *t, int proc, pid_t pid)
{
	unsigned long long own, sys, c_own, c_sys;
	char stat[1024];
	const char *at;

	if (!proc_read(proc, pid, "stat", stat, sizeof(stat)) || !(at = strrchr(stat, ')')) ||
		sscanf(at,
			") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %llu %llu %*s %*s "
			"%ld",
			&t->state, &own, &sys, &c_own, &c_sys, &t->threads) != 6)
		return false;
	t->own_us = ticks_us(own + sys);
	t->waited_us = ticks_us(c_own + c_sys);
	return true;
}

/* A process's clock is named by its pid: clock_getcpuclockid(3), without asking first. */
int64_t proc_own_us(pid_t pid)
{
	clockid_t clock = (clockid_t)((~(unsigned)pid << 3) | 2);
	struct timespec t;

	if (clock_gettime(clock, &t))
		return -1;
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}
