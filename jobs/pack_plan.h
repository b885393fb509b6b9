/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_plan.h: what of the files that a run touched goes into its image, and where.
 *
 * In go regular files that were read, executed or looked at (programs look for landmarks), folders that were looked at
 * or listed (empty, but for what goes into them), every symbolic link on the way, as a link, and the folders above all that.
 * Files below the working folder come to /work, the rest stays where it is. The working folder's own path is a link to /work.
 *
 * Out stay what the box has itself or never has (/proc /sys /dev /run /tmp /in /out), what the run made or changed, what
 * only its owner may read outside of the working folder, and a person's home outside of the working folder: of it
 * only code goes along, as home_takes() says. --include is stronger than all but the first, --exclude than all.
 *
 * Nothing here opens a file: what stands at a path is asked by `look`.
 */
#ifndef JOBS_PACK_PLAN_H
#define JOBS_PACK_PLAN_H

#include "common/conf.h"
#include "jobs/pack_walk.h"
#include "jobs/touch.h"

#define PACK_WORK "/work"
#define PACK_HOMES_MAX 2

/* Why something is told of: taken all the same, or left out. */
enum pack_why {
	PACK_TAKEN,   /* nothing to tell */
	TOOK_HOME,    /* code from the home folder */
	TOOK_OUTSIDE, /* a file neither of the system's folders nor of the working folder */
	TOOK_SECRET,  /* --include asked for what only its owner may read */
	LEFT_EXCLUDED,
	LEFT_KERNEL, /* /proc, /sys, /dev */
	LEFT_BOX,    /* /tmp and the like: the box has its own */
	LEFT_WRITTEN,
	LEFT_HOME,
	LEFT_SECRET,
	LEFT_KIND,  /* a socket, a pipe, a device */
	LEFT_CLASH, /* another file has its place in the image */
	PACK_WHYS
};

struct pack_where {
	const char *cwd;                   /* without links in it */
	const char *homes[PACK_HOMES_MAX]; /* likewise; NULL: none */
	struct texts code; /* folders that PYTHONPATH and the like name: their files are code */
	struct texts
		exclude; /* globs: of a path, of one below the working folder, or without `/` of a name */
	struct texts asked; /* of --include, absolute: links in them go along, wherever they lead */
	const char
		*image; /* the one that is made, which may lie in the working folder; NULL: none */
	int64_t bytes_max;
	look_fn *look;
	void *arg;
};

enum pack_layer { LAYER_SYSTEM, LAYER_WORK, PACK_LAYERS };

struct pack_entry {
	char *to;   /* in the image, absolute; "/" itself is not among them */
	char *from; /* the regular file here; else NULL */
	char *text; /* of a link; else NULL */
	enum file_kind kind;
	bool executable;
	int64_t size;
	enum pack_layer layer;
};

struct pack_note {
	char *path; /* a file; for TOOK_HOME the folder of code */
	enum pack_why why;
	size_t n; /* how many files of it */
};

struct pack_plan {
	struct pack_entry *entries; /* by path, so folders come before what is in them */
	size_t n, room;
	struct pack_note *notes; /* by why, then path */
	size_t n_notes, notes_room;
	int64_t bytes; /* of all files */
	size_t files;
	struct touches places; /* the paths that have an entry */
};

/* ERR_TOO_BIG: more files, or bytes, than may be. */
int pack_plan_make(struct pack_plan *p, const struct pack_where *where,
	const struct touches *touched, struct err *e);
void pack_plan_release(struct pack_plan *p);
/* Whether something is at that path of the image. */
bool pack_plan_has(struct pack_plan *p, const char *to);
/* Whether `to` (of the image) is a source of Python's, X.py, beside whose folder's __pycache__/X.VERSION.pyc is in the plan. */
bool pack_plan_compiled(const struct pack_plan *p, const char *to);
/* Where a path here (without links) is in the image. Yours. */
char *pack_place(const struct pack_where *where, const char *path);

#endif
