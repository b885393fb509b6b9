/* SPDX-License-Identifier: Apache-2.0
 *
 * limit.c: cgroup and sampler.
 *
 * In a pid namespace orphans become init's children, so the tree below init is the whole box. CPU of
 * what was reaped already stands in its parent's "children" times, init's included.
 */
#include "sandbox/limit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE_MAX (2 * BOX_PROCESSES_MAX)

/* --- cgroup ------------------------------------------------------------------------------------ */

static bool put(const struct cgroup *g, const char *name, const char *text)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", g->dir, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Where this process is in the hierarchy of `controller` ("" for v2): "N:controller:/path". */
static bool own_path(char *path, size_t n, const char *controller)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *name = strchr(line, ':'), *at = name ? strchr(name + 1, ':') : NULL;

		if (!at)
			continue;
		*at++ = '\0';
		at[strcspn(at, "\n")] = '\0';
		found = !strcmp(name + 1, controller);
		if (found)
			snprintf(path, n, "%s", !strcmp(at, "/") ? "" : at);
	}
	if (f)
		fclose(f);
	return found;
}

/* A name nobody else uses: the pid, and the time for pids that come again. */
static bool make_in(struct cgroup *g, const char *mount, const char *controller, bool v2)
{
	char own[300];

	g->v2 = v2;
	if (!own_path(own, sizeof(own), controller))
		return false;
	snprintf(g->dir, sizeof(g->dir), "%s%s/talkoot-%d", mount, own, (int)getpid());
	if (mkdir(g->dir, 0755) && errno != EEXIST)
		return g->dir[0] = '\0', false;
	return true;
}

void cgroup_make(struct cgroup *g, int64_t mib)
{
	char bytes[32];

	*g = (struct cgroup){ 0 };
	snprintf(bytes, sizeof(bytes), "%lld", (long long)mib * 1024 * 1024);
	if (make_in(g, "/sys/fs/cgroup/memory", "memory", false)) {
		if (!put(g, "memory.limit_in_bytes", bytes))
			cgroup_remove(g);
		else
			put(g, "memory.memsw.limit_in_bytes", bytes); /* only where swap is counted */
		return;
	}
	if (make_in(g, "/sys/fs/cgroup", "", true)) {
		if (!put(g, "memory.max", bytes))
			cgroup_remove(g);
		else
			put(g, "memory.swap.max", "0");
	}
}

void cgroup_enter(struct cgroup *g, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	if (g->dir[0] && !put(g, "cgroup.procs", text))
		cgroup_remove(g);
}

bool cgroup_hit(const struct cgroup *g)
{
	char path[600], line[128];
	long n = 0;

	if (!g->dir[0])
		return false;
	snprintf(path, sizeof(path), "%s/%s", g->dir, g->v2 ? "memory.events" : "memory.oom_control");
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "oom_kill ", 9))
			n = strtol(line + 9, NULL, 10);
	if (f)
		fclose(f);
	return n > 0;
}

void cgroup_remove(struct cgroup *g)
{
	/* the last process may take a moment to leave it */
	for (int i = 0; g->dir[0] && rmdir(g->dir) && errno == EBUSY && i < 100; i++)
		usleep(1000);
	g->dir[0] = '\0';
}

/* --- sampler ----------------------------------------------------------------------------------- */

static bool read_small(const char *path, char *text, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, n - 1);

	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	return got > 0;
}

/* utime, stime, cutime and cstime: fields 14 to 17 of /proc/PID/stat, counted after the name. */
static int64_t cpu_of(pid_t pid, bool own)
{
	char path[64], text[1024];
	long long t[4] = { 0 };

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	char *at = read_small(path, text, sizeof(text)) ? strrchr(text, ')') : NULL;
	if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %lld %lld", &t[0], &t[1],
			   &t[2], &t[3]) != 4)
		return 0;
	return ((own ? t[0] + t[1] : 0) + t[2] + t[3]) * (1000000 / sysconf(_SC_CLK_TCK));
}

/* What only this process has, and what it shares without a file: not the program's own pages. */
static int64_t memory_of(pid_t pid)
{
	char path[64], text[2048];
	long long sum = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (!read_small(path, text, sizeof(text)))
		return 0;
	for (const char *name = "RssAnon:"; name; name = !strcmp(name, "RssAnon:") ? "RssShmem:" : NULL) {
		const char *at = strstr(text, name);

		sum += at ? strtoll(at + strlen(name), NULL, 10) : 0;
	}
	return sum;
}

/* Add the children of every thread of `pid` to the list. */
static int add_children(pid_t pid, pid_t *list, int n)
{
	char path[64], text[65536];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	struct dirent *entry;
	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)pid, entry->d_name);
		if (!read_small(path, text, sizeof(text)))
			continue;
		for (char *at = text, *end; n < TREE_MAX; at = end) {
			long child = strtol(at, &end, 10);

			if (end == at)
				break;
			list[n++] = (pid_t)child;
		}
	}
	if (d)
		closedir(d);
	return n;
}

void sample_take(struct sample *s, pid_t init)
{
	static pid_t list[TREE_MAX];
	int n = add_children(init, list, 0);

	*s = (struct sample){ .cpu_us = cpu_of(init, false) };
	for (int i = 0; i < n; i++) {
		s->cpu_us += cpu_of(list[i], true);
		s->memory_kib += memory_of(list[i]);
		n = add_children(list[i], list, n);
	}
	s->processes = n;
}
