/* SPDX-License-Identifier: Apache-2.0
 *
 * pieces.c: layers of BEP 52's tree.
 *
 * Everything here is made of digest.h's pieces root: a piece of full size is a tree of its own, so its
 * root is a node of the blob's tree; a short one is raised to its height by zero leaves.
 */
#include "common/pieces.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int64_t piece_bytes(int64_t size)
{
	int64_t piece = PIECE_BYTES_MIN;

	while (layer_count(size, piece) > PIECES_MAX)
		piece *= 2;
	return piece;
}

int64_t piece_count(int64_t size)
{
	return layer_count(size, piece_bytes(size));
}

size_t piece_size(int64_t size, int64_t piece_bytes, size_t i)
{
	int64_t left = size - (int64_t)i * piece_bytes;

	return (size_t)(left < piece_bytes ? left : piece_bytes);
}

bool layer_allowed(int64_t piece)
{
	return piece >= PIECES_LEAF && (piece & (piece - 1)) == 0;
}

int64_t layer_count(int64_t size, int64_t piece)
{
	return size / piece + (size % piece != 0);
}

static struct digest pair(const struct digest *left, const struct digest *right)
{
	struct digest both[2] = { *left, *right };

	return digest_of(both, sizeof(both));
}

/* The root over `bytes` of zero leaves, a power of two of them. */
static struct digest zero_root(int64_t bytes)
{
	struct digest zero = { { 0 } };

	for (int64_t height = PIECES_LEAF; height < bytes; height *= 2)
		zero = pair(&zero, &zero);
	return zero;
}

/* Put zero leaves beside the root `d` over `from` bytes until it is one over `to` bytes. */
static struct digest raise_root(struct digest d, int64_t from, int64_t to)
{
	struct digest zero = zero_root(from);

	for (; from < to; from *= 2) {
		d = pair(&d, &zero);
		zero = pair(&zero, &zero);
	}
	return d;
}

/* The bytes that the tree over n bytes spans: leaves up to a power of two. */
static int64_t span(int64_t n)
{
	int64_t width = PIECES_LEAF;

	while (width < n)
		width *= 2;
	return width;
}

struct digest piece_root(const void *bytes, size_t n, int64_t piece, bool only)
{
	assert(layer_allowed(piece) && n > 0 && (uint64_t)n <= (uint64_t)piece);
	struct digest root = pieces_of(bytes, n);
	return only ? root : raise_root(root, span((int64_t)n), piece);
}

size_t layer_up(struct digest *hashes, size_t n, int64_t piece)
{
	struct digest zero = zero_root(piece);

	assert(n > 1);
	for (size_t i = 0; i < n; i += 2)
		hashes[i / 2] = pair(&hashes[i], i + 1 < n ? &hashes[i + 1] : &zero);
	return n / 2 + n % 2;
}

struct digest layer_root(const struct digest *hashes, size_t n, int64_t piece)
{
	struct digest none = { { 0 } }, root;

	if (n == 0)
		return none;
	struct digest *level = xmalloc(n * sizeof(*level));
	memcpy(level, hashes, n * sizeof(*level));
	for (; n > 1; piece *= 2)
		n = layer_up(level, n, piece);
	root = level[0];
	free(level);
	return root;
}

int layer_check(const struct digest *hashes, size_t n, int64_t size, int64_t piece,
	const struct digest *root, struct err *e)
{
	if (!layer_allowed(piece))
		return err_set(
			e, ERR_DIGEST, "no layer has pieces of %lld bytes", (long long)piece);
	if (size < 0 || (uint64_t)layer_count(size, piece) != n)
		return err_set(e, ERR_DIGEST,
			"%zu hashes; a blob of %lld bytes has %lld pieces of %lld", n,
			(long long)size, (long long)layer_count(size, piece), (long long)piece);
	struct digest made = layer_root(hashes, n, piece);
	return digest_equal(&made, root)
	               ? 0
	               : err_set(e, ERR_DIGEST,
				 "the pieces' hashes do not make up the blob's pieces root");
}

/* --- while bytes stream by -------------------------------------------------------------------- */

struct layer {
	int64_t fixed, piece, filled; /* filled: bytes in the open piece */
	struct pieces *open;
	struct digest *hashes;
	size_t n, room;
};

struct layer *layer_new(int64_t fixed)
{
	struct layer *l = xcalloc(1, sizeof(*l));

	assert(!fixed || layer_allowed(fixed));
	l->fixed = fixed;
	l->piece = fixed ? fixed : PIECE_BYTES_MIN;
	l->open = pieces_new();
	return l;
}

static void end_piece(struct layer *l, bool only)
{
	struct digest root = pieces_end(l->open);

	if (l->filled < l->piece && !only)
		root = raise_root(root, span(l->filled), l->piece);
	array_room(&l->hashes, &l->room, l->n, sizeof(*l->hashes));
	l->hashes[l->n++] = root;
	l->filled = 0;
}

/* A piece more than there is room for is about to begin: from here on pieces are twice as big. */
static void widen(struct layer *l)
{
	l->n = layer_up(l->hashes, l->n, l->piece);
	l->piece *= 2;
}

void layer_add(struct layer *l, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n > 0) {
		if (!l->fixed && l->filled == 0 && l->n == PIECES_MAX)
			widen(l);
		int64_t room = l->piece - l->filled;
		size_t part = (uint64_t)room < n ? (size_t)room : n;

		pieces_add(l->open, at, part);
		l->filled += (int64_t)part;
		at += part;
		n -= part;
		if (l->filled == l->piece)
			end_piece(l, false);
	}
}

struct digest layer_end(struct layer *l, const struct digest **hashes, size_t *n, int64_t *piece)
{
	if (l->filled)
		end_piece(l, l->n == 0);
	struct digest root = layer_root(l->hashes, l->n, l->piece);

	if (hashes)
		*hashes = l->hashes;
	if (n)
		*n = l->n;
	if (piece)
		*piece = l->piece;
	l->n = 0;
	l->piece = l->fixed ? l->fixed : PIECE_BYTES_MIN;
	return root;
}

void layer_free(struct layer *l)
{
	if (!l)
		return;
	pieces_free(l->open);
	free(l->hashes);
	free(l);
}
