/* SPDX-License-Identifier: Apache-2.0
 *
 * name.h: paths inside a tree: one spelling in memory, one on a line.
 *
 * A good path has 1 to NAME_DEPTH_MAX parts of 1 to NAME_PART_MAX bytes, none of them "." or "..",
 * joined by single slashes, none in front or behind. Names are bytes, not text: any but NUL and '/'.
 */
#ifndef IMAGE_NAME_H
#define IMAGE_NAME_H

#include "common/base.h"
#include "common/err.h"

#define NAME_BYTES_MAX 4095 /* PATH_MAX less its NUL: what the kernel takes */
#define NAME_PART_MAX 255   /* NAME_MAX of Linux' file systems */
#define NAME_DEPTH_MAX 64 /* recursion over a tree stays this shallow; real images have about 20 */
#define NAME_QUOTED_MAX (3 * NAME_BYTES_MAX)

/* Whether `n` bytes are a good path. */
bool name_ok(const char *path, size_t n);

/* An archive's name as a good path, or "" for the root: "./", "/", "//" and a slash behind fall away.
 * A ".." or what is longer than the bounds is an error (ERR_REFUSED). */
int name_clean(char out[NAME_BYTES_MAX + 1], const char *raw, struct err *e);

/* Percent-encode (RFC 3986 section 2.1, upper case): what is outside 0x21..0x7e, and '%'. `out` has room
 * for 3 n + 1 bytes. */
void name_quote(char *out, const char *path, size_t n);
/* Exactly what name_quote writes, at most NAME_BYTES_MAX bytes and no NUL among them; its length, or -1. */
int name_unquote(char out[NAME_BYTES_MAX + 1], const char *quoted, size_t n);

/* A stranger's name for a sentence: quoted, and cut at 120 bytes. One of
 * two static buffers, which take turns. */
const char *name_shown(const char *raw);

#endif
