/* SPDX-License-Identifier: Apache-2.0
 *
 * blob_in.h: what the files of the blob store share: the store itself, and a partial file's two
 * ends, owning it and giving it its name. For common/blob*.c alone.
 */
#ifndef COMMON_BLOB_IN_H
#define COMMON_BLOB_IN_H

#include "common/blob.h"
#include "common/pieces.h"

#include <sys/stat.h>

struct seen;

struct blobs {
	char *dir;
	int64_t quota, bytes;
	int64_t beside; /* of the quota, taken by others */
	struct seen *seen; /* blob.c's memory of verified blobs */
};

/* Count what is there; remove what was left half done long ago. */
void blobs_count(struct blobs *s);
/* Whether `more` bytes fit the quota: 0 or ERR_FULL. */
int blobs_fit(const struct blobs *s, int64_t more, struct err *e);
/* n bytes are gone; another process's bytes may go that we never counted. */
void blobs_forget(struct blobs *s, int64_t n);
/* The blob in the file that looks like `st` was verified just now. */
void blobs_remember(struct blobs *s, const struct digest *d, const struct stat *st);

/* Read what is left in fd into a digest and a layer (either may be NULL); *n bytes. */
int blob_hash_fd(int fd, struct hasher *h, struct layer *l, int64_t *n, struct err *e);

/* Open (make) and lock a partial file. Between the two its last writer may have named it a blob, and then the
 * bytes we hold are the blob's: so the name must still be this file's. ERR_CONFLICT: somebody else's. */
int partial_own(const char *path, int *fd, struct err *e);
/* Give a partial file of `size` verified bytes its name, once its bytes are on the disk. */
int partial_name(struct blobs *s, int fd, const char *partial, int64_t size, const struct digest *d,
	struct err *e);

/* Keep n hashes (of its piece_bytes()) beside the blob. What goes wrong is not told: a layer can be made again. */
void blob_layer_keep(const struct blobs *s, const struct digest *d, const struct digest *hashes,
	size_t n, const struct digest *root);
/* The hashes that are kept (yours), or NULL. They make up some root: whether it is the blob's is yours to check. */
struct digest *blob_layer_load(
	const struct blobs *s, const struct digest *d, int64_t size, size_t *n);
bool blob_layer_kept(
	const struct blobs *s, const struct digest *d, int64_t size); /* or needs none */
void blob_layer_remove(const struct blobs *s, const struct digest *d);
/* End a layer that was streamed with all of the blob, and keep it. *root may be NULL. */
void blob_layer_end(
	const struct blobs *s, const struct digest *d, struct layer *l, struct digest *root);

#endif
