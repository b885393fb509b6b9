/* SPDX-License-Identifier: Apache-2.0
 *
 * pen.c: see pen.h.
 *
 * A process is moved into it when its box is first looked at: until then nothing that counts can have
 * happened, and a launch does not pay for it.
 *
 * Version 1's freezer is not used though it would stop a box as well: what is frozen there cannot be killed,
 * so it would outlive a keeper that is killed meanwhile.
 */
#include "sandbox/pen.h"

#include "sandbox/proc.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define ROUNDS_MAX 64 /* of moving; each finds only what was started during the last */

static const struct kind {
	const char *mount;
	unsigned long type;
	const char *controller; /* NULL: version 2, which counts without one */
	const char *file, *key;
	int64_t per_us;
	const char *freeze; /* NULL: it cannot */
} kinds[] = {
	{ "/sys/fs/cgroup", CGROUP2_SUPER_MAGIC, NULL, "cpu.stat", "usage_usec ", 1,
		"cgroup.freeze" },
	{ "/sys/fs/cgroup/unified", CGROUP2_SUPER_MAGIC, NULL, "cpu.stat", "usage_usec ", 1,
		"cgroup.freeze" },
	{ "/sys/fs/cgroup/cpuacct", CGROUP_SUPER_MAGIC, "cpuacct", "cpuacct.usage", "", 1000,
		NULL },
};
#define N_KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

/* In version 2 a cgroup that hands out controllers may have no processes besides: then beside our own, else
 * below it. */
static int open_parent(const struct kind *k)
{
	char own[512], text[256];
	char *slash;
	int fd;

	if (cgroup_own(k->controller, own, sizeof(own)))
		return -1;
	fd = cgroup_open(k->mount, own);
	if (k->controller || fd < 0 || strcmp(own, "/") == 0 ||
		(cgroup_read(fd, "cgroup.subtree_control", text, sizeof(text)) == 0 &&
			text[strspn(text, "\n")] == 0))
		return fd;
	close(fd);
	slash = strrchr(own, '/');
	if (slash)
		*slash = 0;
	return cgroup_open(k->mount, own);
}

void pens_open(struct pens *all)
{
	struct statfs f;

	all->parent = -1;
	all->made = 0;
	for (all->kind = 0; all->kind < N_KINDS && all->parent < 0; all->kind++) {
		const struct kind *k = &kinds[all->kind];

		if (statfs(k->mount, &f) == 0 && (unsigned long)f.f_type == k->type)
			all->parent = open_parent(k);
	}
	all->kind--; /* the one that was found */
	if (all->parent >= 0)
		cgroup_sweep(all->parent);
}

void pens_close(struct pens *all)
{
	if (all->parent >= 0)
		close(all->parent);
	all->parent = -1;
}

/* How many were not yet in it; -1: one cannot be moved. */
static int move(int procs, int proc, pid_t init, pid_t *moved, int *n_moved)
{
	const struct proc_tree *t = proc_tree(proc, init);
	char text[16];
	int n = 0;

	for (size_t i = 1; i < t->n; i++) {
		bool known = false;

		for (int k = 0; k < *n_moved && !known; k++)
			known = moved[k] == t->pids[i];
		if (known)
			continue;
		snprintf(text, sizeof(text), "%d", t->pids[i]);
		if (write(procs, text, strlen(text)) < 0)
			continue;
		if (*n_moved == PROC_TREE_MAX)
			return -1;
		moved[(*n_moved)++] = t->pids[i];
		n++;
	}
	return n;
}

/* What one that was moved starts is in it already, and is moved once more to no harm. */
bool pen_move(int procs, int proc, pid_t init)
{
	static pid_t moved[PROC_TREE_MAX]; /* large */
	int n = -1, n_moved = 0;

	for (int i = 0; i < ROUNDS_MAX && n != 0; i++)
		n = move(procs, proc, init, moved, &n_moved);
	return n_moved > 0;
}

static bool move_all(int dir, int proc, pid_t init)
{
	int procs = openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	bool moved = procs >= 0 && pen_move(procs, proc, init);

	if (procs >= 0)
		close(procs);
	return moved;
}

bool pen_make(struct pen *p, struct pens *all, int proc, pid_t init)
{
	if (all->parent < 0)
		return false;
	p->dir = cgroup_make(all->parent, all->made++, p->name);
	if (p->dir < 0)
		return false;
	p->all = all;
	p->last = false;
	if (move_all(p->dir, proc, init))
		return true;
	pen_drop(p);
	return false;
}

int64_t pen_us(const struct pen *p)
{
	const struct kind *k;
	int64_t n;

	if (!p->all)
		return -1;
	k = &kinds[p->all->kind];
	n = cgroup_number(p->dir, k->file, k->key);
	return n < 0 ? -1 : n / k->per_us;
}

bool pen_freeze(const struct pen *p, bool freeze)
{
	return p->all && kinds[p->all->kind].freeze &&
	       cgroup_write(p->dir, kinds[p->all->kind].freeze, freeze ? "1" : "0") == 0;
}

void pen_yield(struct pen *p, bool last)
{
	if (!p->all || p->last == last)
		return;
	cgroup_yield(p->dir, last);
	p->last = last;
}

void pen_drop(struct pen *p)
{
	if (!p->all)
		return;
	close(p->dir);
	cgroup_remove(p->all->parent, p->name);
	p->all = NULL;
}
