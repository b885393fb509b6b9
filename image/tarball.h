/* SPDX-License-Identifier: Apache-2.0
 *
 * tarball.h: a tar archive, plain or compressed once (gzip, zstd, xz, bzip2), read from its start.
 *
 * The one room of libarchive. What it reads is a stranger's: this runs in a box.
 */
#ifndef IMAGE_TARBALL_H
#define IMAGE_TARBALL_H

#include "image/merge.h"

struct tarball;

/* `fd` is borrowed, must be seekable, and is read from its beginning. `most_bytes`: of one file; unpacked it may
 * have TARBALL_SLACK more, for headers. `what` names it in errors; borrowed. NULL and `e` when it cannot be. */
#define TARBALL_SLACK GIB
struct tarball *tarball_open(int fd, const char *what, int64_t most_bytes, struct err *e);
void tarball_close(struct tarball *t);

/* The next entry: 1; 0 at the end; -1. Its texts live until the next call. Contents not read are passed over. */
int tarball_next(struct tarball *t, struct merge_entry *out, struct err *e);
/* Contents of the entry, holes as zeros: how many bytes (0: no more), or -1. */
ssize_t tarball_read(struct tarball *t, void *into, size_t n, struct err *e);
/* At the end: whether the archive had its end marker. Without, it was perhaps cut short. */
bool tarball_had_end(const struct tarball *t);

#endif
