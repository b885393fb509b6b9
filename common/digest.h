/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.h: SHA-256, its OCI spelling `sha256:HEX`, and the BitTorrent v2 pieces root.
 */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include "common/base.h"
#include "common/err.h"

#define DIGEST_BYTES 32
#define DIGEST_HEX 64  /* characters, without the NUL */
#define DIGEST_TEXT 71 /* "sha256:" and the hex digits, without the NUL */

struct digest {
	unsigned char b[DIGEST_BYTES];
};

struct digest digest_of(const void *bytes, size_t n);
bool digest_equal(const struct digest *a, const struct digest *b);
int digest_compare(const struct digest *a, const struct digest *b);

/* The 64 lowercase hex digits, or with `sha256:` in front. `out` also gets the NUL. */
void digest_hex(char out[DIGEST_HEX + 1], const struct digest *d);
void digest_text(char out[DIGEST_TEXT + 1], const struct digest *d);
/* Exactly 64 lowercase hex digits; exactly `sha256:` and these. False for anything else. */
bool digest_from_hex(struct digest *d, const char *hex);
bool digest_from_text(struct digest *d, const char *text);

/* A digest made piece by piece. */
struct hasher;
struct hasher *hasher_new(void);
void hasher_add(struct hasher *h, const void *bytes, size_t n);
/* The digest of all that was added; the hasher starts anew. */
struct digest hasher_end(struct hasher *h);
void hasher_free(struct hasher *h);

/* BEP 52: a file's pieces root is the root of a binary SHA-256 tree over 16 KiB leaves, the last
 * leaf not padded, missing leaves zero, up to a power of two. An empty file has none: all zero. */
#define PIECES_LEAF 16384
struct pieces;
struct pieces *pieces_new(void);
void pieces_add(struct pieces *p, const void *bytes, size_t n);
struct digest pieces_end(struct pieces *p);
void pieces_free(struct pieces *p);
/* The same, of what is in memory. */
struct digest pieces_of(const void *bytes, size_t n);

/* Digest, pieces root and size of what is left to read in fd. Either out pointer may be NULL. */
int digest_fd(int fd, struct digest *d, struct digest *root, int64_t *size, struct err *e);

#endif
