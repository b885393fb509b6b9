/* SPDX-License-Identifier: Apache-2.0
 *
 * blob.h: the content-addressed store: bytes in files named by their SHA-256.
 *
 *	DIR/sha256/ab/abcdef…   whole blobs, 0444, fsynced before they get this name
 *	DIR/partial/TAG         bytes on their way in
 *	DIR/layers/abcdef…      the hashes of a whole blob's pieces (pieces.h)
 *
 * A blob is verified while it is written and again when it is opened to be used. Two
 * processes may write the same blob: each has its own partial file, and rename makes one of them
 * the blob. The quota counts whole and partial bytes; layers, at most 64 KiB and an eight thousandth
 * of their blob, stand beside it.
 */
#ifndef COMMON_BLOB_H
#define COMMON_BLOB_H

#include "common/base.h"
#include "common/digest.h"
#include "common/err.h"

#define BLOB_SIZE_MAX ((int64_t)64 << 30)
#define BLOB_TAG_MAX 100 /* [A-Za-z0-9._-] */

struct blobs;
struct blob_in;

/* What messages call a blob. */
struct blob {
	struct digest digest, root;
	int64_t size;
};

/* Opens or makes the store in `dir`; counts what is there; removes partial files older than a
 * day. quota_bytes 0: none. */
int blobs_open(struct blobs **out, const char *dir, int64_t quota_bytes, struct err *e);
void blobs_close(struct blobs *s);
int64_t blobs_bytes(const struct blobs *s);
/* So many bytes of the quota are taken by what stands beside the store (may be negative: given back). */
void blobs_beside(struct blobs *s, int64_t more);

/* Size, or -1 when it is not there. */
int64_t blob_size(struct blobs *s, const struct digest *d);
/* A read-only descriptor and the size. Verifies all of it the first time this process opens it and
 * whenever size, inode or mtime changed since; a damaged one is removed: ERR_UNKNOWN_BLOB. Marks it used now. */
int blob_open(struct blobs *s, const struct digest *d, int *fd, int64_t *size, struct err *e);
/* The whole of a blob of at most max bytes. Yours. */
int blob_read(
	struct blobs *s, const struct digest *d, char **out, size_t *n, size_t max, struct err *e);
int blob_remove(struct blobs *s, const struct digest *d, struct err *e);
/* The path of a whole blob: for the box, which opens it itself. Yours. */
char *blob_path(const struct blobs *s, const struct digest *d) MUST_USE;

/* Write: start (a tag that is there already resumes: blob_in_offset() bytes are held), add, finish.
 * expect: the digest it must have (NULL: any); size: what it must be (-1: any). Beyond quota or size:
 * ERR_FULL, ERR_TOO_BIG, at the start where the size is known. */
int blob_in_start(struct blob_in **out, struct blobs *s, const char *tag,
	const struct digest *expect, int64_t size, struct err *e);
/* The same for a loop that has others to serve: what was there is not hashed yet, and before it is nothing may be added or
 * finished. blob_in_read() hashes at most about `max` bytes of the blob_in_unread() that are left. */
int blob_in_reopen(struct blob_in **out, struct blobs *s, const char *tag,
	const struct digest *expect, int64_t size, struct err *e);
int blob_in_read(struct blob_in *in, int64_t max, struct err *e);
int64_t blob_in_unread(const struct blob_in *in);
/* How many bytes a tag holds that nobody has open. */
int64_t blob_in_left(const struct blobs *s, const char *tag);
int64_t blob_in_offset(const struct blob_in *in);
int blob_in_add(struct blob_in *in, const void *bytes, size_t n, struct err *e);
/* Verify, fsync, name. *b (may be NULL) gets digest, pieces root and size. Frees `in` either way; a wrong
 * digest is ERR_DIGEST and the bytes are gone. */
int blob_in_finish(struct blob_in *in, struct blob *b, struct err *e);
/* Let go: keep the partial file for later, or drop it. */
void blob_in_leave(struct blob_in *in);
void blob_in_drop(struct blob_in *in);
/* All of a file, or of memory, in one call. */
int blob_put_fd(struct blobs *s, int fd, struct blob *b, struct err *e);
int blob_put(struct blobs *s, const void *bytes, size_t n, struct blob *b, struct err *e);

/* The layer of a whole blob: *n hashes of pieces of `piece` bytes (yours; 0 for an empty one). From
 * piece_bytes(size) on it comes from what is kept beside the blob, made once, when the blob was written or
 * first verified (a blob that an earlier version wrote is read whole for it). A finer one is hashed now, up to
 * BLOB_LAYER_FINE_MAX bytes of blob. ERR_UNKNOWN_BLOB; ERR_NOT_FOUND: there is no such layer to be had. */
#define BLOB_LAYER_FINE_MAX (8 * MIB) /* some 10 ms of hashing on one core, for whoever asks */
int blob_layer(struct blobs *s, const struct digest *d, int64_t piece, struct digest **out,
	size_t *n, struct err *e);

/* A blob on its way in, piece by piece in any order: pieces of piece_bytes(size), each checked against
 * a layer that makes up the blob's root. What is there after kill -9 is hashed again when it is opened; only
 * pieces that are right count. One writer at a time (ERR_CONFLICT for a second).
 * The whole size counts against the quota from the start (ERR_FULL). */
struct blob_parts;
/* layer: the n hashes of b's layer (copied, and kept on the disk for the next time). ERR_DIGEST: they are not.
 * NULL and 0: the ones that were kept; ERR_NOT_FOUND when there are none (a blob of one piece needs none). */
int blob_parts_open(struct blob_parts **out, struct blobs *s, const struct blob *b,
	const struct digest *layer, size_t n, struct err *e);
/* The same in parts, for who has a loop to turn: open, and then look at what is there, each time at most max_bytes or one
 * piece, while there is *more. What was not looked at counts as missing. */
int blob_parts_begin(struct blob_parts **out, struct blobs *s, const struct blob *b,
	const struct digest *layer, size_t n, struct err *e);
int blob_parts_look(struct blob_parts *p, int64_t max_bytes, bool *more, struct err *e);
bool blob_parts_has(const struct blob_parts *p, size_t piece);
size_t blob_parts_missing(const struct blob_parts *p);                        /* how many pieces */
const struct digest *blob_parts_layer(const struct blob_parts *p, size_t *n); /* borrowed */
/* All n bytes of one piece. ERR_DIGEST: not these bytes; nothing was kept. One that is there already is
 * checked and else ignored. */
int blob_parts_put(struct blob_parts *p, size_t piece, const void *bytes, size_t n, struct err *e);
/* The have-map, borrowed: bit 0 of byte 0 is the highest bit, piece 0, as in BEP 3; spare bits are 0. */
const unsigned char *blob_parts_map(const struct blob_parts *p, size_t *n_bytes);
/* n bytes at `at`, of verified pieces only: ERR_NOT_FOUND when one of them is not there yet,
 * ERR_RANGE beyond the end. */
int blob_parts_read(struct blob_parts *p, int64_t at, void *out, size_t n, struct err *e);
/* A descriptor of its own for reading the file, yours; where pieces are missing there are zeros or worse. */
int blob_parts_reader(const struct blob_parts *p, int *fd, struct err *e);
/* The whole blob's digest is SHA-256 from front to end: hash on at most max_bytes of what is there already, so that
 * little is left to do at the end. Whether there is more to hash now. */
bool blob_parts_hash(struct blob_parts *p, int64_t max_bytes);
/* Verify the whole, fsync, name. Frees p either way: with pieces missing (ERR_CONFLICT) or a full disk
 * what is there stays for later; ERR_DIGEST (the layer was not this digest's): the bytes are gone. */
int blob_parts_finish(struct blob_parts *p, struct err *e);
/* Let go: keep what is there for later, or drop it. */
void blob_parts_leave(struct blob_parts *p);
void blob_parts_drop(struct blob_parts *p);

/* Remove least recently used whole blobs that `keep` does not want kept, until n more bytes fit
 * the quota. -1 (ERR_FULL) when they cannot. */
int blobs_make_room(struct blobs *s, int64_t n, bool (*keep)(void *arg, const struct digest *d),
	void *arg, struct err *e);

#endif
