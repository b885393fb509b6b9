/* SPDX-License-Identifier: Apache-2.0
 *
 * cid.c: a blob's name in IPFS. Base32 is RFC 4648's, in lower case.
 */
#include "jobs/cid.h"

#include <string.h>

#define CID_BYTES (4 + DIGEST_BYTES) /* 36 bytes: 57.6 digits, so the last one has two spare bits */

static const unsigned char head[4] = { 1, 0x55, 0x12, DIGEST_BYTES };
static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

void cid_text(char out[CID_TEXT + 1], const struct digest *d)
{
	unsigned char bytes[CID_BYTES + 1] = { 0 };
	size_t n = 0;

	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + sizeof(head), d->b, DIGEST_BYTES);
	out[n++] = 'b';
	for (size_t bit = 0; n < CID_TEXT; bit += 5) {
		unsigned two = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];

		out[n++] = digits[two >> (11 - bit % 8) & 31];
	}
	out[n] = '\0';
}

bool cid_parse(struct digest *d, const char *text)
{
	unsigned char bytes[CID_BYTES + 1] = { 0 };
	char again[CID_TEXT + 1];

	if (strlen(text) != CID_TEXT || text[0] != 'b')
		return false;
	for (size_t i = 1, bit = 0; i < CID_TEXT; i++, bit += 5) {
		const char *at = strchr(digits, text[i]);

		if (!at)
			return false;
		unsigned two = (unsigned)(at - digits) << (11 - bit % 8);
		bytes[bit / 8] |= (unsigned char)(two >> 8);
		bytes[bit / 8 + 1] |= (unsigned char)two;
	}
	memcpy(d->b, bytes + sizeof(head), DIGEST_BYTES);
	cid_text(again, d); /* the head, and the spare bits: there is one spelling */
	return !strcmp(again, text);
}
