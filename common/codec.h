/* SPDX-License-Identifier: Apache-2.0
 *
 * codec.h: spellings of bytes and numbers, each with one accepted form.
 */
#ifndef COMMON_CODEC_H
#define COMMON_CODEC_H

#include "common/base.h"

/* Lowercase hex. `out` gets 2n digits and a NUL. */
void hex_encode(char *out, const void *bytes, size_t n);
/* Exactly 2n lowercase digits and the end of the string; false otherwise. */
bool hex_decode(void *out, size_t n, const char *hex);

/* RFC 4648 base64 with padding. The text is yours. */
char *base64_encode(const void *bytes, size_t n) MUST_USE;
/* Only the canonical spelling (re-encoded and compared). False, and *out NULL, otherwise. */
bool base64_decode(char **out, size_t *n, const char *text, size_t len);

/* A decimal integer that is the whole string, no sign but '-', no leading zeros, in min..max. */
bool int_parse(int64_t *out, const char *text, int64_t min, int64_t max);

#endif
