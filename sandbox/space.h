/* SPDX-License-Identifier: Apache-2.0
 *
 * space.h: the namespaces of a box and the root file system in it.
 */
#ifndef SANDBOX_SPACE_H
#define SANDBOX_SPACE_H

#include "sandbox/given.h"

#define SPACE_UID 1000 /* who the program is, inside */
/* Files and directories that /out and /tmp together may hold: each costs a kilobyte of kernel. */
#define SPACE_INODES 16384

/* Fork into new namespaces (`layers`: any of BOX_NAMESPACES) with the id maps written. As fork():
 * 0 in the child, which must wait for a word of its parent before it relies on the maps. */
pid_t space_fork(unsigned layers, struct why *w);

/* Which namespaces this kernel grants, one child each; why[layer] says why not. */
unsigned space_probe(struct why why[BOX_N_LAYERS]);

/* In the child: fixed host name. */
int space_name(struct why *w);

/* In the child: leave the old root for a new one: empty for compute; for files with /in, /out,
 * /tmp, three devices and the folders of --root. In *work comes a directory that holds `out`
 * and `tmp`, or -1. After a failure the old root may still be there. */
int space_root(const struct given *g, const struct spec *s, int *work, struct why *w);

/* Whether /out and /tmp together hold more than `disk_mib` or SPACE_INODES. */
bool space_full(int work, int64_t disk_mib);

#endif
