/* SPDX-License-Identifier: Apache-2.0
 *
 * blob_layer.c: the layers of whole blobs: the hashes of a blob's pieces, kept beside it.
 *
 *	DIR/layers/HEX		the n hashes, then the root they make up
 *
 * The root in the file tells a damaged or half-written layer from a good one, so the file needs no fsync:
 * one that does not hold is made again. A blob of one piece needs no file.
 */
#include "common/blob_in.h"
#include "common/buf.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((PIECES_MAX + 1) * DIGEST_BYTES)

static char *layer_path(const struct blobs *s, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, d);
	return xprintf("%s/layers/%s", s->dir, hex);
}

void blob_layer_keep(const struct blobs *s, const struct digest *d, const struct digest *hashes,
	size_t n, const struct digest *root)
{
	if (n < 2)
		return;
	auto_free char *path = layer_path(s, d);
	auto_free char *tmp = xprintf("%s.XXXXXX", path);
	auto_close int fd = mkostemp(tmp, O_CLOEXEC);
	struct err e;

	if (fd < 0)
		return;
	if (fd_write_all(fd, hashes, n * sizeof(*hashes), &e) ||
		fd_write_all(fd, root, sizeof(*root), &e) || rename(tmp, path))
		unlink(tmp);
}

bool blob_layer_kept(const struct blobs *s, const struct digest *d, int64_t size)
{
	auto_free char *path = layer_path(s, d);

	return size <= PIECE_BYTES_MIN || !access(path, F_OK);
}

void blob_layer_remove(const struct blobs *s, const struct digest *d)
{
	auto_free char *path = layer_path(s, d);

	unlink(path);
}

void blob_layer_end(
	const struct blobs *s, const struct digest *d, struct layer *l, struct digest *root)
{
	const struct digest *hashes;
	size_t n;
	struct digest made = layer_end(l, &hashes, &n, NULL);

	blob_layer_keep(s, d, hashes, n, &made);
	if (root)
		*root = made;
}

/* What is kept, if it holds: the hashes are yours. A file that does not hold goes. */
struct digest *blob_layer_load(
	const struct blobs *s, const struct digest *d, int64_t size, size_t *n)
{
	auto_free char *path = layer_path(s, d), *bytes = NULL;
	size_t want = (size_t)piece_count(size), len;
	struct digest *hashes;
	struct err e;

	if (file_read(&bytes, &len, path, FILE_MAX, &e))
		return NULL;
	if (len == (want + 1) * sizeof(*hashes)) {
		hashes = (struct digest *)TAKE(bytes);
		if (!layer_check(hashes, want, size, piece_bytes(size), &hashes[want], &e)) {
			*n = want;
			return hashes;
		}
		free(hashes);
	}
	unlink(path);
	return NULL;
}

/* Read all of the blob for the layer of such pieces. */
static int make(struct blobs *s, const struct digest *d, int64_t piece, struct digest **out,
	size_t *n, struct err *e)
{
	auto_close int fd = -1;
	const struct digest *hashes;
	int64_t size;

	if (blob_open(s, d, &fd, &size, e))
		return -1;
	struct layer *l = layer_new(piece);
	if (blob_hash_fd(fd, NULL, l, &size, e)) {
		layer_free(l);
		return -1;
	}
	struct digest root = layer_end(l, &hashes, n, NULL);
	if (piece == piece_bytes(size))
		blob_layer_keep(s, d, hashes, *n, &root);
	*out = (struct digest *)xmemdup(hashes, *n * sizeof(**out));
	layer_free(l);
	return 0;
}

/* The layer of piece_bytes(size). */
static int ours(struct blobs *s, const struct digest *d, int64_t size, struct digest **out,
	size_t *n, struct err *e)
{
	auto_close int fd = -1;

	if ((*out = blob_layer_load(s, d, size, n)))
		return 0;
	if (blob_open(s, d, &fd, &size, e)) /* which may be the first time, and then makes it */
		return -1;
	if ((*out = blob_layer_load(s, d, size, n)))
		return 0;
	return make(s, d, piece_bytes(size), out, n, e);
}

int blob_layer(struct blobs *s, const struct digest *d, int64_t piece, struct digest **out,
	size_t *n, struct err *e)
{
	int64_t size = blob_size(s, d), at = piece_bytes(size);
	char text[DIGEST_TEXT + 1];

	digest_text(text, d);
	if (size < 0)
		return err_set(e, ERR_UNKNOWN_BLOB, "%s is not here", text);
	if (!layer_allowed(piece) || piece > BLOB_SIZE_MAX)
		return err_set(e, ERR_NOT_FOUND,
			"no blob has pieces of %lld bytes: powers of two from %d on",
			(long long)piece, PIECES_LEAF);
	if (piece < at && size > BLOB_LAYER_FINE_MAX)
		return err_set(e, ERR_NOT_FOUND,
			"%s has %lld bytes: pieces below %lld are hashed here only up to %lld "
			"bytes of blob",
			text, (long long)size, (long long)at, (long long)BLOB_LAYER_FINE_MAX);
	if (piece < at)
		return make(s, d, piece, out, n, e);
	if (ours(s, d, size, out, n, e))
		return -1;
	for (; at<piece && * n> 1; at *= 2)
		*n = layer_up(*out, *n, at);
	return 0;
}
