/* SPDX-License-Identifier: Apache-2.0
 *
 * space.h: the namespaces of a box and the root file system in it.
 */
#ifndef SANDBOX_SPACE_H
#define SANDBOX_SPACE_H

#include "sandbox/box.h"
#include "sandbox/why.h"

#include "sandbox/door.h"

#include <stdbool.h>
#include <sys/types.h>

struct plan;

#define SPACE_KINDS 6
struct space_kind {
	enum box_layer layer;
	int flag; /* clone's */
};
extern const struct space_kind space_kinds[SPACE_KINDS];

#define SPACE_UID 1000  /* who the program is, inside */
#define SPACE_PROGRAM 2 /* its pid, where it has a pid namespace */
/* Files and directories that /out and /tmp together may hold: each costs a kilobyte of kernel. */
#define SPACE_INODES 16384
#define SPACE_INODE_SLACK 16   /* so that exactly the limit fits and one more is seen */
#define SPACE_DISK_SLACK_MIB 1 /* the same for bytes */

/* --- the keeper's --- */

/* Start `p`'s init (through `door`, unless NULL), which makes the namespaces p->layers as far as its own clone does not. `compute` does
 * without those that are refused. Its pid, or -1. */
pid_t space_start(struct plan *p, struct door *door, struct why *w);

/* Which namespaces this kernel grants, one child each; why[layer] says why not. */
unsigned space_probe(int proc, struct why why[BOX_N_LAYERS]);

/* Whether a root for `files` can be built. */
bool space_try_root(int proc, struct why *w);
/* Whether it can have a /proc of its own (BOX_PROC), too. */
bool space_try_proc(int proc, struct why *w);

/* Make the calling process a place that boxes inherit from: own network, ipc and host name, and for
 * `compute` an empty root. 1: refused, and nothing is changed; -1: half done. */
int space_settle(int proc, enum box_profile profile, struct why *w);

/* How many files and folders lie in them; as many as may, when that cannot be told. */
int64_t space_names(int work);
/* Whether /out and /tmp together hold more than `disk_mib` or SPACE_INODES. */
bool space_full(int work, int64_t disk_mib);

/* --- the init's: raw system calls, failures in p->told.fault --- */

int space_map(struct plan *p);
/* Make those of p->layers that it was not born in; p->told.layers are then what holds. */
int space_unshare(struct plan *p);
int space_name(struct plan *p);
/* Leave the old root for an empty one; p->host, the old root, still stands behind it. */
int space_empty(struct plan *p);
/* Leave it for one with /in, /out, /tmp and three devices, from which boxes may be born. */
int space_bare(struct plan *p);
/* Go to one with /in, /out, /tmp and three devices (or stay, where it is inherited), before it is known what is to run in it; p->work is then
 * a directory that holds `out` and `tmp`. p->host, the old root, still stands behind it. */
int space_prepare(struct plan *p);
/* Finish it with the inputs, whose descriptors are `inputs`, and the folders of --root. */
int space_furnish(struct plan *p, const int *inputs);
/* Where p->host still stands behind it: let the old root go and make the new one read-only. */
int space_leave(struct plan *p);

#endif
