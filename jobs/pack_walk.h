/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_walk.h: from a path as a program spelled it to the file, with every symbolic link on the way.
 */
#ifndef JOBS_PACK_WALK_H
#define JOBS_PACK_WALK_H

#include "common/base.h"

#define WALK_LINKS_MAX 40 /* as many as Linux follows */

enum file_kind { FILE_NONE, FILE_REGULAR, FILE_FOLDER, FILE_LINK, FILE_OTHER };

/* What stands at a path, itself: links are not followed. */
struct look {
	enum file_kind kind;
	unsigned mode; /* its 0777 */
	int64_t size;  /* of a regular file */
	char *text;    /* of a link; yours */
};

typedef void look_fn(void *arg, const char *path, struct look *out);

struct step {
	char *path; /* no link, `.` or `..` in it but its last part may be a link */
	struct look look;
};

struct walk {
	struct step *steps; /* the last is what the path leads to */
	size_t n, room;
	bool found;
};

/* Go along `path` (absolute). Not found: something on the way is not there, is no folder, or links go round. */
void walk_go(struct walk *w, const char *path, look_fn *look, void *arg);
/* The last step. Only where it was found; "/" has none: NULL. */
const struct step *walk_end(const struct walk *w);
void walk_release(struct walk *w);

/* Whether `path` is `folder` or below it. */
bool path_below(const char *path, const char *folder);

#endif
