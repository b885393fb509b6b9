/* SPDX-License-Identifier: Apache-2.0
 *
 * range.h: the Range header of a request (RFC 9110, section 14.2): one range of bytes.
 */
#ifndef COMMON_RANGE_H
#define COMMON_RANGE_H

#include <stdint.h>

enum range { RANGE_WHOLE, RANGE_PART, RANGE_NONE };

/* What of `size` bytes "bytes=A-B", "bytes=A-" or "bytes=-N" asks for; NULL asks for nothing. What is not understood
 * (several ranges too) is ignored, as the RFC allows: the whole is sent. PART: *n > 0 bytes from *from, all of them
 * there; else both stay as they are. NONE: it lies outside. */
enum range range_parse(const char *header, int64_t size, int64_t *from, int64_t *n);

#endif
