/* SPDX-License-Identifier: Apache-2.0
 *
 * blob_parts.c: a blob on its way in, piece by piece in any order.
 *
 *	DIR/partial/parts-HEX	a file of the blob's size with holes where pieces are missing
 *
 * Nothing beside the file says which pieces are there: whoever opens it hashes what is in it (and not the
 * holes) and believes that alone. So there is no order of writes that a kill or a power cut could upset.
 * The blob's own digest goes from front to end; it follows the pieces as they close up (blob_parts_hash).
 */
#include "common/blob_in.h"
#include "common/buf.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PART 65536 /* bytes read at once */

struct blob_parts {
	struct blobs *store;
	struct blob blob;
	char *path;
	int fd;
	int64_t piece;
	size_t n, missing;
	struct digest *layer; /* n */
	unsigned char *map;
	struct hasher *hash;
	int64_t hashed; /* bytes from the front that `hash` has */
	int64_t looked; /* bytes from the front whose pieces were looked at when it was opened */
};

bool blob_parts_has(const struct blob_parts *p, size_t piece)
{
	return piece < p->n && p->map[piece / 8] & (0x80 >> piece % 8);
}

const struct digest *blob_parts_layer(const struct blob_parts *p, size_t *n)
{
	*n = p->n;
	return p->layer;
}

size_t blob_parts_missing(const struct blob_parts *p)
{
	return p->missing;
}

const unsigned char *blob_parts_map(const struct blob_parts *p, size_t *n_bytes)
{
	*n_bytes = (p->n + 7) / 8;
	return p->map;
}

static void mark(struct blob_parts *p, size_t piece)
{
	p->missing -= !blob_parts_has(p, piece);
	p->map[piece / 8] |= (unsigned char)(0x80 >> piece % 8);
}

static size_t bytes_of(const struct blob_parts *p, size_t piece)
{
	return piece_size(p->blob.size, p->piece, piece);
}

static bool is_right(const struct blob_parts *p, size_t piece, const void *bytes, size_t n)
{
	struct digest root = piece_root(bytes, n, p->piece, p->n == 1);

	return digest_equal(&root, &p->layer[piece]);
}

/* --- the file --------------------------------------------------------------------------------- */

static int read_at(const struct blob_parts *p, int64_t at, void *out, size_t n, struct err *e)
{
	char *to = out;

	while (n > 0) {
		ssize_t got = pread(p->fd, to, n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? err_sys(e, "reading %s", p->path)
			           : err_set(e, ERR_SYSTEM, "%s is cut off", p->path);
		to += got;
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

static int write_at(
	const struct blob_parts *p, int64_t at, const void *bytes, size_t n, struct err *e)
{
	const char *from = bytes;

	while (n > 0) {
		ssize_t put = pwrite(p->fd, from, n, at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(e, "writing %s", p->path);
		from += put;
		at += put;
		n -= (size_t)put;
	}
	return 0;
}

/* Believe what is in the file only where it is right. Where a file system does not know its holes
 * they read as zeros, and are hashed like anything else. */
int blob_parts_look(struct blob_parts *p, int64_t max_bytes, bool *more, struct err *e)
{
	auto_free char *bytes = NULL;

	*more = true;
	for (int64_t looked = 0; !looked || looked < max_bytes;) {
		off_t at = p->looked < p->blob.size ? lseek(p->fd, p->looked, SEEK_DATA) : -1;

		if (at < 0 && p->looked < p->blob.size && errno != ENXIO)
			return err_sys(e, "looking into %s", p->path);
		if (at < 0 || at >= p->blob.size) {
			p->looked = p->blob.size;
			*more = false;
			return 0;
		}
		size_t piece = (size_t)(at / p->piece), n = bytes_of(p, piece);

		if (!bytes)
			bytes = xmalloc((size_t)p->piece);
		if (read_at(p, (int64_t)piece * p->piece, bytes, n, e))
			return -1;
		if (is_right(p, piece, bytes, n))
			mark(p, piece);
		p->looked = (int64_t)(piece + 1) * p->piece;
		looked += (int64_t)n;
	}
	return 0;
}

/* The file is made as long as the blob at once; so much of the quota is taken. */
static int take_room(struct blob_parts *p, struct err *e)
{
	struct stat st;

	if (fstat(p->fd, &st))
		return err_sys(e, "looking at %s", p->path);
	if (st.st_size > p->blob.size && ftruncate(p->fd, 0)) /* somebody's idea of another blob */
		return err_sys(e, "restarting %s", p->path);
	if (st.st_size < p->blob.size && blobs_fit(p->store, p->blob.size - st.st_size, e)) {
		if (st.st_size == 0)
			unlink(p->path);
		return -1;
	}
	if (ftruncate(p->fd, p->blob.size))
		return err_sys(e, "making room in %s", p->path);
	if (st.st_size > p->blob.size)
		blobs_forget(p->store, st.st_size - p->blob.size);
	else
		p->store->bytes += p->blob.size - st.st_size;
	return 0;
}

/* --- open, put, read -------------------------------------------------------------------------- */

static void parts_free(struct blob_parts *p)
{
	if (p->fd >= 0)
		close(p->fd);
	hasher_free(p->hash);
	free(p->layer);
	free(p->map);
	free(p->path);
	free(p);
}

/* The layer for b, yours: a copy of what was given, else what was kept; and now it is kept. */
static struct digest *settle_layer(
	struct blobs *s, const struct blob *b, const struct digest *layer, size_t *n, struct err *e)
{
	bool given = layer != NULL;
	struct digest *mine = given ? (struct digest *)xmemdup(layer, *n * sizeof(*layer)) : NULL;

	if (!given && piece_count(b->size) <= 1) {
		*n = (size_t)piece_count(b->size);
		mine = (struct digest *)xmemdup(&b->root, sizeof(b->root));
	} else if (!given && !(mine = blob_layer_load(s, &b->digest, b->size, n))) {
		err_set(e, ERR_NOT_FOUND, "no layer of this blob is kept here");
		return NULL;
	}
	if (!layer_check(mine, *n, b->size, piece_bytes(b->size), &b->root, e)) {
		if (given)
			blob_layer_keep(s, &b->digest, mine, *n, &b->root);
		return mine;
	}
	free(mine);
	return NULL;
}

int blob_parts_begin(struct blob_parts **out, struct blobs *s, const struct blob *b,
	const struct digest *layer, size_t n, struct err *e)
{
	char hex[DIGEST_HEX + 1];

	if (b->size < 0 || b->size > BLOB_SIZE_MAX)
		return err_set(e, ERR_TOO_BIG, "a blob of %lld bytes; at most %lld are taken",
			(long long)b->size, (long long)BLOB_SIZE_MAX);
	struct digest *mine = settle_layer(s, b, layer, &n, e);
	if (!mine)
		return -1;
	struct blob_parts *p = xcalloc(1, sizeof(*p));
	digest_hex(hex, &b->digest);
	*p = (struct blob_parts){ .store = s, .blob = *b, .fd = -1, .n = n, .missing = n };
	p->path = xprintf("%s/partial/parts-%s", s->dir, hex);
	p->piece = piece_bytes(b->size);
	p->layer = mine;
	p->map = xcalloc((n + 7) / 8 + 1, 1);
	p->hash = hasher_new();
	if (partial_own(p->path, &p->fd, e) || take_room(p, e)) {
		parts_free(p);
		return -1;
	}
	*out = p;
	return 0;
}

int blob_parts_open(struct blob_parts **out, struct blobs *s, const struct blob *b,
	const struct digest *layer, size_t n, struct err *e)
{
	struct blob_parts *p;
	bool more;

	if (blob_parts_begin(&p, s, b, layer, n, e))
		return -1;
	if (blob_parts_look(p, BLOB_SIZE_MAX, &more, e)) {
		parts_free(p);
		return -1;
	}
	*out = p;
	return 0;
}

int blob_parts_put(struct blob_parts *p, size_t piece, const void *bytes, size_t n, struct err *e)
{
	if (piece >= p->n || n != bytes_of(p, piece))
		return err_set(e, ERR_DIGEST, "%zu bytes are not piece %zu of %zu", n, piece, p->n);
	if (!is_right(p, piece, bytes, n))
		return err_set(e, ERR_DIGEST, "the bytes of piece %zu are not the blob's", piece);
	if (blob_parts_has(p, piece))
		return 0;
	if (write_at(p, (int64_t)piece * p->piece, bytes, n, e))
		return -1;
	mark(p, piece);
	return 0;
}

int blob_parts_read(struct blob_parts *p, int64_t at, void *out, size_t n, struct err *e)
{
	if (at < 0 || at > p->blob.size || (uint64_t)n > (uint64_t)(p->blob.size - at))
		return err_set(e, ERR_RANGE, "bytes beyond the end of a blob of %lld",
			(long long)p->blob.size);
	for (int64_t i = at / p->piece; n > 0 && i <= (at + (int64_t)n - 1) / p->piece; i++)
		if (!blob_parts_has(p, (size_t)i))
			return err_set(
				e, ERR_NOT_FOUND, "piece %lld is not here yet", (long long)i);
	return read_at(p, at, out, n, e);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* As blob_parts_hash; -1 and e when the disk fails. */
static int hash_on(struct blob_parts *p, int64_t max_bytes, struct err *e)
{
	auto_free char *part = xmalloc(PART);

	while (max_bytes > 0 && blob_parts_has(p, (size_t)(p->hashed / p->piece))) {
		int64_t left = p->blob.size - p->hashed;
		size_t n = left < PART ? (size_t)left : PART; /* pieces are multiples of PART */

		if (n == 0)
			break;
		if (read_at(p, p->hashed, part, n, e))
			return -1;
		hasher_add(p->hash, part, n);
		p->hashed += (int64_t)n;
		max_bytes -= (int64_t)n;
	}
	return 0;
}

int blob_parts_reader(const struct blob_parts *p, int *fd, struct err *e)
{
	*fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return *fd < 0 ? err_sys(e, "opening %s", p->path) : 0;
}

bool blob_parts_hash(struct blob_parts *p, int64_t max_bytes)
{
	struct err e;

	return !hash_on(p, max_bytes, &e) && p->hashed < p->blob.size &&
	       blob_parts_has(p, (size_t)(p->hashed / p->piece));
}

int blob_parts_finish(struct blob_parts *p, struct err *e)
{
	int bad = 0;

	if (p->missing > 0)
		bad = err_set(e, ERR_CONFLICT, "%zu of %zu pieces are missing", p->missing, p->n);
	else if (!hash_on(p, BLOB_SIZE_MAX, e)) {
		struct digest d = hasher_end(p->hash);

		if (!digest_equal(&d, &p->blob.digest)) {
			blob_parts_drop(p);
			return err_set(e, ERR_DIGEST,
				"each piece is right, and the whole is not the announced "
				"digest: its pieces root was another blob's");
		}
		bad = partial_name(p->store, p->fd, p->path, p->blob.size, &d, e);
	} else {
		bad = -1;
	}
	parts_free(p);
	return bad;
}

void blob_parts_leave(struct blob_parts *p)
{
	parts_free(p);
}

void blob_parts_drop(struct blob_parts *p)
{
	unlink(p->path);
	if (blob_size(p->store, &p->blob.digest) < 0)
		blob_layer_remove(p->store, &p->blob.digest);
	blobs_forget(p->store, p->blob.size);
	parts_free(p);
}
