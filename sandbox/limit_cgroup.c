/* SPDX-License-Identifier: Apache-2.0
 *
 * limit_cgroup.c: a memory cgroup for one box, of version 1 or 2, where the system grants one.
 *
 * v1: a child of our own cgroup. v2: processes live only in leaves, so a sibling of our own,
 * which works where the parent hands out `memory` and was delegated to us (systemd's user
 * slices). Nothing here is required: the sampler stands in.
 */
#include "sandbox/limit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "talkoot-" /* and the launcher's pid */
#define REMOVE_TRIES 200  /* of 1 ms: the last task's exit may still be under way */

/* One file's text, at most room - 1 bytes. */
static int read_at(int dir, const char *name, char *text, size_t room)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, room - 1);
	close(fd);
	if (n < 0)
		return -1;
	text[n] = 0;
	return 0;
}

static int write_at(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	int ok;

	if (fd < 0)
		return -1;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok ? 0 : -1;
}

/* Where the hierarchy with the memory controller is mounted: gives its version, or 0. */
static int find_mount(char *path, size_t room)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	char text[1024], probe[512];
	struct mntent m;
	int version = 0;

	while (f && version == 0 && getmntent_r(f, &m, text, sizeof(text))) {
		if (strcmp(m.mnt_type, "cgroup") == 0 && hasmntopt(&m, "memory"))
			version = 1;
		snprintf(probe, sizeof(probe), "%s/cgroup.controllers", m.mnt_dir);
		if (strcmp(m.mnt_type, "cgroup2") == 0 &&
			read_at(AT_FDCWD, probe, probe, sizeof(probe)) == 0 &&
			strstr(probe, "memory"))
			version = 2;
		if (version)
			snprintf(path, room, "%s", m.mnt_dir);
	}
	if (f)
		endmntent(f);
	return version;
}

/* Our own path in that hierarchy: the line "N:…memory…:/path" (v1) or "0::/path" (v2). */
static int find_own(int version, char *path, size_t room)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[512];
	int found = -1;

	while (f && found && fgets(line, sizeof(line), f)) {
		char *names = strchr(line, ':'), *at = names ? strchr(names + 1, ':') : NULL;

		if (!at)
			continue;
		*at++ = 0;
		at[strcspn(at, "\n")] = 0;
		if (version == 2 ? names[1] == 0 : strstr(names + 1, "memory") != NULL) {
			snprintf(path, room, "%s", at);
			found = 0;
		}
	}
	if (f)
		fclose(f);
	return found;
}

/* The directory in which a cgroup for us may be made. */
static int open_parent(int version)
{
	char path[1100], mount[512], own[512], text[256];
	char *slash;
	int fd;

	if (find_mount(mount, sizeof(mount)) != version || find_own(version, own, sizeof(own)))
		return -1;
	if (version == 2 && (slash = strrchr(own, '/')))
		*slash = 0;
	snprintf(path, sizeof(path), "%s%s", mount, own);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && version == 2 &&
		(read_at(fd, "cgroup.subtree_control", text, sizeof(text)) ||
			!strstr(text, "memory"))) {
		close(fd);
		return -1;
	}
	return fd;
}

static const struct setting {
	int version;
	const char *name;
	const char *text; /* NULL: the limit in bytes */
	bool needed;
} settings[] = {
	{ 1, "memory.limit_in_bytes", NULL, true },
	{ 1, "memory.memsw.limit_in_bytes", NULL, false }, /* absent without swap accounting */
	{ 2, "memory.max", NULL, true },
	{ 2, "memory.swap.max", "0", false },
	{ 2, "memory.oom.group", "1", false },
};

static int set_up(struct limit_cgroup *c, int64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)bytes);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		const struct setting *s = &settings[i];

		if (s->version == c->version &&
			write_at(c->dir, s->name, s->text ? s->text : text) && s->needed)
			return -1;
	}
	c->procs = openat(c->dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	return c->procs < 0 ? -1 : 0;
}

/* A launcher that was killed could not remove its own. rmdir takes only empty ones. */
static void sweep(int parent)
{
	int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int pid;

	while (d && (e = readdir(d))) {
		if (sscanf(e->d_name, PREFIX "%d", &pid) == 1 && kill(pid, 0) && errno == ESRCH)
			(void)unlinkat(parent, e->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

void limit_cgroup_make(struct limit_cgroup *c, int64_t bytes)
{
	char mount[512];

	c->parent = c->dir = c->procs = -1;
	c->version = find_mount(mount, sizeof(mount));
	if (c->version == 0 || (c->parent = open_parent(c->version)) < 0)
		return;
	sweep(c->parent);
	snprintf(c->name, sizeof(c->name), PREFIX "%d", getpid());
	/* of our own number: it has counted its own dead */
	(void)unlinkat(c->parent, c->name, AT_REMOVEDIR);
	if (mkdirat(c->parent, c->name, 0755)) {
		close(c->parent);
		c->parent = -1;
		return;
	}
	c->dir = openat(c->parent, c->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir < 0 || set_up(c, bytes))
		limit_cgroup_remove(c);
}

bool limit_cgroup_join(struct limit_cgroup *c, pid_t pid)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", pid);

	if (c->procs < 0)
		return false;
	if (write(c->procs, text, (size_t)n) == n)
		return true;
	limit_cgroup_remove(c);
	return false;
}

bool limit_cgroup_starved(const struct limit_cgroup *c)
{
	char text[512];
	const char *at;

	if (c->dir < 0 || read_at(c->dir, c->version == 1 ? "memory.oom_control" : "memory.events",
				  text, sizeof(text)))
		return false;
	at = strstr(text, "oom_kill ");
	return at && strtol(at + strlen("oom_kill "), NULL, 10) > 0;
}

void limit_cgroup_remove(struct limit_cgroup *c)
{
	const struct timespec ms = { 0, 1000000 };
	int *fds[] = { &c->procs, &c->dir, &c->parent };

	if (c->parent < 0)
		return;
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(c->parent, c->name, AT_REMOVEDIR) == 0 || errno != EBUSY)
			break;
		nanosleep(&ms, NULL);
	}
	for (int i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}
