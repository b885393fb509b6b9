/* SPDX-License-Identifier: Apache-2.0
 *
 * pen.h: a cgroup with no limit, beside that of the memory: it counts the CPU time of all that was ever in
 * it, and where it is of version 2 it stops them.
 */
#ifndef SANDBOX_PEN_H
#define SANDBOX_PEN_H

#include "sandbox/cgroup.h"

#include <sys/types.h>

struct pens {
	int parent;    /* -1: none can be made */
	int kind;      /* see pen.c */
	unsigned made; /* how many so far */
};

struct pen {
	const struct pens *all; /* NULL: there is none */
	int dir;
	bool last;
	char name[CGROUP_NAME_MAX];
};

/* Where they can be made: found once. */
void pens_open(struct pens *all);
void pens_close(struct pens *all);

/* Make one and move everything below `init` into it; false: there is none then. A process that starts
 * others meanwhile cannot keep them out. */
bool pen_make(struct pen *p, struct pens *all, int proc, pid_t init);
/* The same with any cgroup, whose cgroup.procs is `procs`; false: none could be moved. */
bool pen_move(int procs, int proc, pid_t init);
/* CPU time used in it, or -1. */
int64_t pen_us(const struct pen *p);
/* Stop all in it, or let it go on; false: it cannot. */
bool pen_freeze(const struct pen *p, bool freeze);
/* cgroup_yield, when it is not so yet. */
void pen_yield(struct pen *p, bool last);
/* All that were in it are dead. */
void pen_drop(struct pen *p);

#endif
