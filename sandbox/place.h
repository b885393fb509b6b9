/* SPDX-License-Identifier: Apache-2.0
 *
 * place.h: where boxes are made: what all boxes of one keeper share.
 */
#ifndef SANDBOX_PLACE_H
#define SANDBOX_PLACE_H

#include "sandbox/door.h"
#include "sandbox/limit.h"

/* Descriptors of ours are at least this: lower numbers are what an init hands to its program. */
#define PLACE_FD_AWAY 16

struct place {
	enum box_profile profile;
	int proc, signals, null; /* /proc; SIGTERM and its like, and SIGCHLD; /dev/null */
	unsigned layers;         /* the namespaces that boxes are born in */
	bool brief;              /* one box: its cgroup is made when that is first looked at */
	bool settled;            /* boxes inherit network, ipc, name, and in `compute` the root */
	struct door *door;       /* `files`: an empty root to be born in, or NULL */
	struct limit_cgroups cgroups;
};

/* Open what it needs, bind the calling process to what boxes inherit. Before any right is given up. */
int place_open(struct place *p, enum box_profile profile, struct why *w);
/* Then what watching a box needs; this may be done while the first box is building itself. */
int place_watch(struct place *p, struct why *w);

/* Make it a place for many boxes, so that each costs less. `compute` stays without what is refused;
 * for `files` -1 says which layer is missing. */
int place_settle(struct place *p, struct why *w);

void place_close(struct place *p);

#endif
