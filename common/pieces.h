/* SPDX-License-Identifier: Apache-2.0
 *
 * pieces.h: the tree of BEP 52 (BitTorrent v2) cut at one height: a blob's pieces and their hashes.
 *
 * A blob's pieces root is the root of a binary SHA-256 tree over 16 KiB leaves. The nodes at one height
 * are a *layer*: each is the root over one piece, a power of two of bytes. Who has a layer that makes up
 * the signed root can check each piece by itself, whoever sent it.
 *
 *	root                         layer of one piece       = { root }
 *	 /  \
 *	p0   p1      <- a layer      the last piece, when short, is padded with zero leaves
 *	/\   /\                      to the height of the others; missing pieces are roots
 *	l l  l 0                     of zero leaves
 *
 * A blob of at most one piece is not padded to the piece's height: its layer is its root (as in BEP 52,
 * where such a file has no layer at all). An empty blob has no pieces and no root.
 */
#ifndef COMMON_PIECES_H
#define COMMON_PIECES_H

#include "common/base.h"
#include "common/digest.h"
#include "common/err.h"

#define PIECE_BYTES_MIN (256 * KIB)
#define PIECES_MAX 2048 /* so a layer is at most 64 KiB */

/* The piece size that nodes move a blob of this size in: the smallest power of two from
 * PIECE_BYTES_MIN on for which it has at most PIECES_MAX pieces. And how many that are. */
int64_t piece_bytes(int64_t size);
int64_t piece_count(int64_t size);
/* The bytes of the i-th piece, below the count: the last one is what is left. */
size_t piece_size(int64_t size, int64_t piece_bytes, size_t i);

/* Whether there may be a layer of such pieces: a power of two, a leaf or more. */
bool layer_allowed(int64_t piece_bytes);
/* How many hashes that layer has for a blob of `size` bytes. */
int64_t layer_count(int64_t size, int64_t piece_bytes);

/* The root over one piece's bytes, 0 < n <= piece_bytes: padded with zero leaves to the piece's
 * height unless it is the blob's only one. */
struct digest piece_root(const void *bytes, size_t n, int64_t piece_bytes, bool only);

/* The next higher layer, made in place: n hashes of pieces of `piece_bytes` become the answer's
 * number of hashes of twice that. n > 1. */
size_t layer_up(struct digest *hashes, size_t n, int64_t piece_bytes);
/* The root that n hashes make up (borrowed; n 0: no root, all zero). */
struct digest layer_root(const struct digest *hashes, size_t n, int64_t piece_bytes);
/* Whether the n hashes are a blob's layer: as many as its size asks for, making up `root`.
 * 0, or ERR_DIGEST. */
int layer_check(const struct digest *hashes, size_t n, int64_t size, int64_t piece_bytes,
	const struct digest *root, struct err *e);

/* A layer made while bytes stream by. fixed: the piece size, and room for as many hashes as come;
 * 0: as piece_bytes() has it for the size the blob turns out to have (PIECES_MAX hashes are held). */
struct layer;
struct layer *layer_new(int64_t fixed);
void layer_add(struct layer *l, const void *bytes, size_t n);
/* The root of all that was added. *hashes (n of them, pieces of *piece_bytes) is borrowed until
 * the next call; the layer starts anew. The out pointers may be NULL. */
struct digest layer_end(
	struct layer *l, const struct digest **hashes, size_t *n, int64_t *piece_bytes);
void layer_free(struct layer *l);

#endif
