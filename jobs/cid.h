/* SPDX-License-Identifier: Apache-2.0
 *
 * cid.h: a blob's name in IPFS: a CIDv1 of raw bytes (multiformats: cid, multicodec, multihash, multibase).
 *
 *	"b" + base32( 1, 0x55 raw, 0x12 sha2-256, 32, the digest )	lower case, no padding
 *
 * It is the digest in another spelling, for blobs that IPFS would keep in one block or as raw bytes.
 */
#ifndef JOBS_CID_H
#define JOBS_CID_H

#include "common/digest.h"

#define CID_TEXT 59 /* characters, without the NUL */

void cid_text(char out[CID_TEXT + 1], const struct digest *d);
/* Exactly that spelling; false for anything else. */
bool cid_parse(struct digest *d, const char *text);

#endif
