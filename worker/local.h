/* SPDX-License-Identifier: Apache-2.0
 *
 * local.h: data of the owner's that some submitters' programs may read here: files and folders, by name.
 *
 * --allow-local NAME=PATH declares one, --local-for KEY says whose jobs may read them; without a key nobody's may. A
 * box sees it read-only as /in/NAME and nothing else of the machine; what its program writes goes back to the grid,
 * where everybody may read it: so to name a key is to trust its holder with what can be computed from the data.
 */
#ifndef WORKER_LOCAL_H
#define WORKER_LOCAL_H

#include "common/conf.h"
#include "jobs/job.h"

#define LOCAL_MAX 16          /* datasets, and keys: what an ask can say */
#define LOCAL_LOOK_MAX 100000 /* entries of a folder that are looked at when the worker starts */
#define LOCAL_DEPTH_MAX 64

struct local {
	struct local_data {
		char name[101], *path; /* absolute, no link in it */
	} at[LOCAL_MAX];
	size_t n;
	struct id keys[LOCAL_MAX];
	size_t n_keys;
};

/* Read the options, and look at what is there: a file, or a folder that holds files, folders and links alone, all of
 * it on one mount, and neither in the worker's folder (which exists) nor around it. -1: ERR_USAGE says which and why. Release in any
 * case. */
int local_read(struct local *l, const struct texts *allowed, const struct texts *keys,
	const char *worker_dir, struct err *e);
void local_release(struct local *l);
/* The path of a dataset; NULL: there is none of that name. */
const char *local_path(const struct local *l, const char *name);
/* Whether a job may run here as far as its local data goes: all of it is here, and its submitter, whose signature is on
 * the manifest, was named; whatever the coordinator thinks. ERR_REFUSED. */
int local_allows(const struct local *l, const struct job *job, struct err *e);

#endif
