/* SPDX-License-Identifier: Apache-2.0
 *
 * sha.c: SHA-256 by OpenSSL's plain functions (deprecated in favour of EVP, and there to stay).
 */
#define OPENSSL_API_COMPAT 0x10100000L
#include "image/sha.h"

#include "common/base.h"

#include <openssl/sha.h>
#include <stdlib.h>

struct sha {
	SHA256_CTX c;
};

struct sha *sha_new(void)
{
	struct sha *s = xmalloc(sizeof(*s));

	SHA256_Init(&s->c);
	return s;
}

void sha_add(struct sha *s, const void *bytes, size_t n)
{
	SHA256_Update(&s->c, bytes, n);
}

void sha_end(struct sha *s, char out[SHA_HEX + 1])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char b[SHA256_DIGEST_LENGTH];

	SHA256_Final(b, &s->c);
	free(s);
	for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) {
		out[2 * i] = hex[b[i] >> 4];
		out[2 * i + 1] = hex[b[i] & 15];
	}
	out[SHA_HEX] = 0;
}
