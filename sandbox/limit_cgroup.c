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
#include <unistd.h>

#define PREFIX "talkoot-" /* and the keeper's pid, and a number */

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
	{ 2, "memory.oom.group", "1", false }, /* never the init: it shares the keeper's memory */
};

static int set_up(struct limit_cgroup *c, int64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)bytes);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		const struct setting *s = &settings[i];

		if (s->version == c->all->version &&
			write_at(c->dir, s->name, s->text ? s->text : text) && s->needed)
			return -1;
	}
	return 0;
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

void limit_cgroups_open(struct limit_cgroups *all)
{
	char mount[512];

	all->version = find_mount(mount, sizeof(mount));
	all->parent = all->version ? open_parent(all->version) : -1;
	if (all->parent >= 0)
		sweep(all->parent);
}

void limit_cgroups_close(struct limit_cgroups *all)
{
	if (all->parent >= 0)
		close(all->parent);
	all->parent = -1;
}

static void shut(struct limit_cgroup *c)
{
	if (c->procs >= 0)
		close(c->procs);
	if (c->dir >= 0)
		close(c->dir);
	c->procs = c->dir = -1;
}

void limit_cgroup_make(struct limit_cgroup *c, const struct limit_cgroups *all)
{
	static unsigned made;

	c->all = all;
	c->dir = c->procs = -1;
	if (all->parent < 0)
		return;
	snprintf(c->name, sizeof(c->name), PREFIX "%d-%u", getpid(), made++);
	/* of our own number: it has counted its own dead */
	(void)unlinkat(all->parent, c->name, AT_REMOVEDIR);
	if (mkdirat(all->parent, c->name, 0755))
		return;
	c->dir = openat(all->parent, c->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir >= 0)
		c->procs = openat(c->dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (c->procs >= 0)
		return;
	shut(c);
	(void)unlinkat(all->parent, c->name, AT_REMOVEDIR);
}

void limit_cgroup_set(struct limit_cgroup *c, int64_t bytes)
{
	if (c->dir >= 0 && set_up(c, bytes))
		limit_cgroup_remove(c);
}

bool limit_cgroup_starved(const struct limit_cgroup *c)
{
	char text[512];
	const char *at, *name = c->all->version == 1 ? "memory.oom_control" : "memory.events";

	if (c->dir < 0 || read_at(c->dir, name, text, sizeof(text)))
		return false;
	at = strstr(text, "oom_kill ");
	return at && strtol(at + strlen("oom_kill "), NULL, 10) > 0;
}

/* v1's freezer is another hierarchy, which the box is not in. */
bool limit_cgroup_freeze(const struct limit_cgroup *c, bool freeze)
{
	return c->dir >= 0 && c->all->version == 2 &&
	       write_at(c->dir, "cgroup.freeze", freeze ? "1" : "0") == 0;
}

bool limit_cgroup_remove(struct limit_cgroup *c)
{
	if (c->dir < 0)
		return true;
	if (unlinkat(c->all->parent, c->name, AT_REMOVEDIR) && errno == EBUSY)
		return false;
	shut(c);
	return true;
}
