/* SPDX-License-Identifier: Apache-2.0
 *
 * seal.h: the envelope (DSSE v1.0): exact bytes, signed.
 *
 *	{"payload":"BASE64","payloadType":"TYPE","signatures":[{"keyid":"HEX","sig":"BASE64"}]}
 *
 * One compact line with exactly these members in this order, one signature, canonical base64.
 * There is one spelling of an envelope, so any changed byte is an error, and evidence is named by
 * the SHA-256 of the line.
 */
#ifndef COMMON_SEAL_H
#define COMMON_SEAL_H

#include "common/base.h"
#include "common/digest.h"
#include "common/err.h"
#include "common/id.h"
#include "common/key.h"

#define SEAL_MESSAGE "application/vnd.talkoot+json"
#define SEAL_STATEMENT "application/vnd.in-toto+json"

struct sealed {
	struct id keyid;
	char type[64];
	char *payload; /* NUL-terminated copy */
	size_t n;
	struct digest digest; /* of the line */
	unsigned char sig[SIG_BYTES];
};

/* Sign. The line is yours, without a newline. */
char *seal(const struct key *k, const char *type, const char *payload, size_t n) MUST_USE;
/* Take apart; checks length and form, NOT the signature. */
int seal_open(struct sealed *s, const char *line, size_t n, size_t max, struct err *e);
int seal_verify(const struct sealed *s, struct err *e);
void seal_release(struct sealed *s);

/* DSSE's pre-authentication encoding: what the signature is over. Yours. */
char *seal_pae(const char *type, const char *payload, size_t n, size_t *len) MUST_USE;

#endif
