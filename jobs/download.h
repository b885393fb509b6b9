/* SPDX-License-Identifier: Apache-2.0
 *
 * download.h: many blobs into files, several at a time, each checked before it gets its name.
 */
#ifndef JOBS_DOWNLOAD_H
#define JOBS_DOWNLOAD_H

#include "jobs/client.h"

struct download {
	struct digest digest;
	int64_t size;
	char *path;
	bool missing; /* out: the grid does not have it (404) */
};

struct downloads {
	struct download *at;
	size_t n, room;
	size_t missing; /* out: how many the grid did not have */
};

/* Note a file to fetch; takes `path`. */
void downloads_add(struct downloads *d, const struct digest *digest, int64_t size, char *path);
/* Fetch all that are not there yet with the right bytes. Parts are written in the folder `partial`, which is
 * made and removed. What the grid does not have is marked and does not end the rest; anything else that is
 * wrong does, after a few tries. */
int downloads_run(struct downloads *d, struct client *c, const char *partial, struct err *e);
void downloads_release(struct downloads *d);

#endif
