/* SPDX-License-Identifier: Apache-2.0
 *
 * sha.h: SHA-256 by OpenSSL's plain functions, which bring 60 KiB into a static program where those of
 * common/digest.h bring five megabytes.
 */
#ifndef IMAGE_SHA_H
#define IMAGE_SHA_H

#include <stddef.h>

#define SHA_HEX 64

struct sha;
struct sha *sha_new(void);
void sha_add(struct sha *s, const void *bytes, size_t n);
/* 64 lowercase hex digits and a NUL; `s` is gone. */
void sha_end(struct sha *s, char out[SHA_HEX + 1]);

#endif
