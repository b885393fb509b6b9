/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.c: SHA-256 by OpenSSL, and BEP 52's tree on top of it.
 *
 * The EVP_MD is fetched once and contexts are reused: small digests cost a third that way.
 */
#include "common/digest.h"
#include "common/codec.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const EVP_MD *sha256(void)
{
	static EVP_MD *md;

	if (!md)
		md = EVP_MD_fetch(NULL, "SHA256", NULL);
	assert(md);
	return md;
}

struct hasher {
	EVP_MD_CTX *ctx;
};

struct hasher *hasher_new(void)
{
	struct hasher *h = xcalloc(1, sizeof(*h));

	h->ctx = EVP_MD_CTX_new();
	int ok = h->ctx && EVP_DigestInit_ex2(h->ctx, sha256(), NULL) == 1;
	assert(ok);
	return h;
}

void hasher_add(struct hasher *h, const void *bytes, size_t n)
{
	int ok = EVP_DigestUpdate(h->ctx, bytes, n);

	assert(ok == 1);
}

struct digest hasher_end(struct hasher *h)
{
	struct digest d;
	int ok = EVP_DigestFinal_ex(h->ctx, d.b, NULL) == 1 &&
		EVP_DigestInit_ex2(h->ctx, sha256(), NULL) == 1;

	assert(ok);
	return d;
}

void hasher_free(struct hasher *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

struct digest digest_of(const void *bytes, size_t n)
{
	static struct hasher *h;

	if (!h)
		h = hasher_new();
	hasher_add(h, bytes, n);
	return hasher_end(h);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return !memcmp(a->b, b->b, DIGEST_BYTES);
}

int digest_compare(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_BYTES);
}

void digest_hex(char out[DIGEST_HEX + 1], const struct digest *d)
{
	hex_encode(out, d->b, DIGEST_BYTES);
}

void digest_text(char out[DIGEST_TEXT + 1], const struct digest *d)
{
	memcpy(out, "sha256:", 7);
	digest_hex(out + 7, d);
}

bool digest_from_hex(struct digest *d, const char *hex)
{
	return hex_decode(d->b, DIGEST_BYTES, hex);
}

bool digest_from_text(struct digest *d, const char *text)
{
	return !strncmp(text, "sha256:", 7) && digest_from_hex(d, text + 7);
}

/* --- BEP 52 ----------------------------------------------------------------------------------
 *
 * A tree built as leaves arrive: stack[i] holds the root of a full subtree of 2^i leaves when bit i
 * of `leaves` is set, like a binary counter. At the end the open places are filled by roots of
 * zero leaves.
 */
#define PIECES_LEVELS 48

struct pieces {
	struct hasher *leaf;
	size_t filled; /* bytes in the open leaf */
	uint64_t leaves;
	struct digest stack[PIECES_LEVELS];
};

struct pieces *pieces_new(void)
{
	struct pieces *p = xcalloc(1, sizeof(*p));

	p->leaf = hasher_new();
	return p;
}

static struct digest pair(const struct digest *left, const struct digest *right)
{
	unsigned char both[2 * DIGEST_BYTES];

	memcpy(both, left->b, DIGEST_BYTES);
	memcpy(both + DIGEST_BYTES, right->b, DIGEST_BYTES);
	return digest_of(both, sizeof(both));
}

static void end_leaf(struct pieces *p)
{
	struct digest d = hasher_end(p->leaf);
	size_t level = 0;

	for (; p->leaves >> level & 1; level++)
		d = pair(&p->stack[level], &d);
	p->stack[level] = d;
	p->leaves++;
	p->filled = 0;
}

void pieces_add(struct pieces *p, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n > 0) {
		size_t part = PIECES_LEAF - p->filled < n ? PIECES_LEAF - p->filled : n;

		hasher_add(p->leaf, at, part);
		p->filled += part;
		at += part;
		n -= part;
		if (p->filled == PIECES_LEAF)
			end_leaf(p);
	}
}

struct digest pieces_end(struct pieces *p)
{
	struct digest root = { { 0 } }, zero = { { 0 } };
	bool have = false;

	if (p->filled)
		end_leaf(p);
	for (size_t level = 0; p->leaves >> level; level++) {
		bool bit = p->leaves >> level & 1;

		if (bit && have)
			root = pair(&p->stack[level], &root);
		else if (bit && p->leaves >> level == 1)
			root = p->stack[level];
		else if (bit)
			root = pair(&p->stack[level], &zero);
		else if (have)
			root = pair(&root, &zero);
		have = have || bit;
		zero = pair(&zero, &zero);
	}
	p->leaves = 0;
	return root;
}

void pieces_free(struct pieces *p)
{
	if (!p)
		return;
	hasher_free(p->leaf);
	free(p);
}

struct digest pieces_of(const void *bytes, size_t n)
{
	struct pieces *p = pieces_new();

	pieces_add(p, bytes, n);
	struct digest root = pieces_end(p);
	pieces_free(p);
	return root;
}

int digest_fd(int fd, struct digest *d, struct digest *root, int64_t *size, struct err *e)
{
	struct hasher *h = hasher_new();
	struct pieces *p = root ? pieces_new() : NULL;
	auto_free char *part = xmalloc(65536);
	int64_t total = 0;
	ssize_t got;

	while ((got = read(fd, part, 65536)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		hasher_add(h, part, (size_t)got);
		if (p)
			pieces_add(p, part, (size_t)got);
		total += got;
	}
	if (got < 0)
		err_sys(e, "reading");
	*d = hasher_end(h);
	if (root)
		*root = pieces_end(p);
	if (size)
		*size = total;
	hasher_free(h);
	pieces_free(p);
	return got < 0 ? -1 : 0;
}
