/* SPDX-License-Identifier: Apache-2.0
 *
 * limit_cgroup.c: a memory cgroup for one box, of version 1 or 2, where the system grants one.
 *
 * v1: a child of our own cgroup. v2: processes live only in leaves, so a sibling of our own,
 * which works where the parent hands out `memory` and was delegated to us (systemd's user
 * slices). Nothing here is required: the sampler stands in.
 */
#include "sandbox/limit.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Where nearly every system has it; the table of mounts is long and slow to read. */
static int find_usual(char *path, size_t room)
{
	static const struct {
		const char *path;
		unsigned long type;
		int version;
	} usual[] = {
		{ "/sys/fs/cgroup", CGROUP2_SUPER_MAGIC, 2 },
		{ "/sys/fs/cgroup/memory", CGROUP_SUPER_MAGIC, 1 },
	};
	char text[512];
	struct statfs f;

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (statfs(usual[i].path, &f) || (unsigned long)f.f_type != usual[i].type)
			continue;
		snprintf(path, room, "%s", usual[i].path);
		snprintf(text, sizeof(text), "%s/cgroup.controllers", usual[i].path);
		if (usual[i].version == 1 ||
			(cgroup_read(AT_FDCWD, text, text, sizeof(text)) == 0 &&
				strstr(text, "memory")))
			return usual[i].version;
	}
	return 0;
}

/* Where the hierarchy with the memory controller is mounted: gives its version, or 0. */
static int find_mount(char *path, size_t room)
{
	char text[1024], probe[512];
	struct mntent m;
	int version = find_usual(path, room);
	FILE *f = version ? NULL : setmntent("/proc/self/mounts", "re");

	while (f && version == 0 && getmntent_r(f, &m, text, sizeof(text))) {
		if (strcmp(m.mnt_type, "cgroup") == 0 && hasmntopt(&m, "memory"))
			version = 1;
		snprintf(probe, sizeof(probe), "%s/cgroup.controllers", m.mnt_dir);
		if (strcmp(m.mnt_type, "cgroup2") == 0 &&
			cgroup_read(AT_FDCWD, probe, probe, sizeof(probe)) == 0 &&
			strstr(probe, "memory"))
			version = 2;
		if (version)
			snprintf(path, room, "%s", m.mnt_dir);
	}
	if (f)
		endmntent(f);
	return version;
}

/* The directory in which a cgroup for us may be made. */
static int open_parent(int version, const char *mount)
{
	char own[512], text[256];
	char *slash;
	int fd;

	if (cgroup_own(version == 1 ? "memory" : NULL, own, sizeof(own)))
		return -1;
	if (version == 2 && (slash = strrchr(own, '/')))
		*slash = 0;
	fd = cgroup_open(mount, own);
	if (fd >= 0 && version == 2 &&
		(cgroup_read(fd, "cgroup.subtree_control", text, sizeof(text)) ||
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
	{ 2, "memory.max", NULL, true }, { 2, "memory.swap.max", "0", false },
	{ 2, "memory.oom.group", "1", false }, /* never the init: it shares the keeper's memory */
};

/* Twice, for v1 keeps memory.limit <= memory.memsw.limit at every moment: of two that change, the one
 * that has to be second fails at first. */
static int set_up(struct limit_cgroup *c, int64_t bytes)
{
	char text[32];
	int failed = 0;

	snprintf(text, sizeof(text), "%lld", (long long)bytes);
	for (int round = c->bytes ? 0 : 1; round < 2; round++) {
		failed = 0;
		for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
			const struct setting *s = &settings[i];

			if (s->version == c->all->version &&
				cgroup_write(c->dir, s->name, s->text ? s->text : text) &&
				s->needed)
				failed = -1;
		}
	}
	return failed;
}

void limit_cgroups_open(struct limit_cgroups *all, bool forks)
{
	char mount[512];

	all->n_idle = 0;
	all->made = 0;
	all->version = find_mount(mount, sizeof(mount));
	all->parent = all->version ? open_parent(all->version, mount) : -1;
	if (all->parent >= 0)
		cgroup_sweep(all->parent);
	all->pens.parent = -1;
	if (forks && (all->version != 2 || all->parent < 0))
		pens_open(&all->pens);
	all->guard = (struct guard){ .parents = { all->parent, all->pens.parent },
		.made = { &all->made, &all->pens.made } };
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void destroy(struct limit_cgroup *c)
{
	shut(&c->procs);
	shut(&c->events);
	shut(&c->dir);
	cgroup_remove(c->all->parent, c->name);
}

void limit_cgroups_close(struct limit_cgroups *all)
{
	while (all->n_idle > 0)
		destroy(&all->idle[--all->n_idle]);
	guard_stop(&all->guard);
	shut(&all->parent);
	pens_close(&all->pens);
}

/* How often the kernel has killed in it so far. */
static long count_kills(const struct limit_cgroup *c)
{
	char text[512];
	const char *at;
	ssize_t n = c->events < 0 ? -1 : pread(c->events, text, sizeof(text) - 1, 0);

	if (n < 0)
		return 0;
	text[n] = 0;
	at = strstr(text, "oom_kill ");
	return at ? strtol(at + strlen("oom_kill "), NULL, 10) : 0;
}

/* Version 2 counts CPU time in every cgroup. */
static int64_t used_us(const struct limit_cgroup *c)
{
	return c->dir >= 0 && c->all->version == 2
	               ? cgroup_number(c->dir, "cpu.stat", "usage_usec ")
	               : -1;
}

int64_t limit_cgroup_us(const struct limit_cgroup *c)
{
	int64_t us = used_us(c);

	return us < 0 ? -1 : us - c->used_us;
}

void limit_cgroup_make(struct limit_cgroup *c, struct limit_cgroups *all)
{
	const char *events = all->version == 1 ? "memory.oom_control" : "memory.events";

	if (all->n_idle > 0) {
		*c = all->idle[--all->n_idle];
		c->kills = count_kills(c);
		c->used_us = used_us(c);
		return;
	}
	*c = (struct limit_cgroup){ .all = all, .dir = -1, .procs = -1, .events = -1 };
	if (all->parent < 0)
		return;
	guard_start(&all->guard);
	c->dir = cgroup_make(all->parent, all->made++, c->name);
	if (c->dir >= 0) {
		c->procs = openat(c->dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		c->events = openat(c->dir, events, O_RDONLY | O_CLOEXEC);
	}
	if (c->dir >= 0 && (c->procs < 0 || c->events < 0))
		destroy(c);
}

void limit_cgroup_set(struct limit_cgroup *c, int64_t bytes)
{
	if (c->dir < 0 || c->bytes == bytes)
		return;
	if (set_up(c, bytes))
		destroy(c);
	else
		c->bytes = bytes;
}

void limit_cgroup_enter(struct limit_cgroup *c, struct limit_cgroups *all, int64_t bytes, int proc,
	pid_t init, int64_t used_us)
{
	limit_cgroup_make(c, all);
	limit_cgroup_set(c, bytes);
	c->used_us = -used_us; /* it is new: it has counted nothing yet */
	if (c->dir >= 0 && !pen_move(c->procs, proc, init))
		destroy(c);
}

bool limit_pen_make(struct pen *p, struct limit_cgroups *all, int proc, pid_t init)
{
	if (all->pens.parent < 0)
		return false;
	guard_start(&all->guard);
	return pen_make(p, &all->pens, proc, init);
}

bool limit_cgroup_starved(const struct limit_cgroup *c)
{
	return c->events >= 0 && count_kills(c) > c->kills;
}

/* v1's freezer is another hierarchy, which the box is not in: see pen.c. */
bool limit_cgroup_freeze(struct limit_cgroup *c, bool freeze)
{
	if (c->dir < 0 || c->all->version != 2 ||
		cgroup_write(c->dir, "cgroup.freeze", freeze ? "1" : "0"))
		return false;
	c->frozen = freeze;
	return true;
}

void limit_cgroup_yield(struct limit_cgroup *c, bool last)
{
	if (c->dir < 0 || c->last == last)
		return;
	cgroup_yield(c->dir, last);
	c->last = last;
}

/* A box may be killed while it is held; whoever enters a frozen cgroup is frozen. */
void limit_cgroup_drop(struct limit_cgroup *c)
{
	if (c->dir < 0)
		return;
	if (c->all->n_idle < LIMIT_CGROUPS_IDLE && (!c->frozen || limit_cgroup_freeze(c, false)))
		c->all->idle[c->all->n_idle++] = *c;
	else
		destroy(c);
	c->dir = c->procs = c->events = -1;
}
