/* SPDX-License-Identifier: Apache-2.0
 *
 * codec.c: hex, canonical base64, integers.
 *
 * Decoders of base64 accept several spellings of the last character (OpenSSL's too), which would
 * give one signed message several lines: so what was decoded is encoded again and compared.
 */
#include "common/codec.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

void hex_encode(char *out, const void *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *at = bytes;

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[at[i] >> 4];
		*out++ = digits[at[i] & 15];
	}
	*out = '\0';
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(void *out, size_t n, const char *hex)
{
	unsigned char *at = out;

	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(hex[2 * i]);
		int low = high < 0 ? -1 : hex_digit(hex[2 * i + 1]);

		if (low < 0)
			return false;
		at[i] = (unsigned char)(high << 4 | low);
	}
	return hex[2 * n] == '\0';
}

char *base64_encode(const void *bytes, size_t n)
{
	char *out = xmalloc(4 * ((n + 2) / 3) + 1);
	size_t at = 0, done = 0;

	/* EVP_EncodeBlock takes an int: feed it whole groups of three. */
	while (n - done > 0) {
		size_t part = n - done > 3u << 20 ? 3u << 20 : n - done;

		at += (size_t)EVP_EncodeBlock((unsigned char *)out + at,
			(const unsigned char *)bytes + done, (int)part);
		done += part;
	}
	out[at] = '\0';
	return out;
}

bool base64_decode(char **out, size_t *n, const char *text, size_t len)
{
	*out = NULL;
	*n = 0;
	if (len % 4 != 0 || len > INT_MAX)
		return false;
	auto_free char *bytes = xmalloc(len / 4 * 3 + 1);
	int got = len ? EVP_DecodeBlock((unsigned char *)bytes, (const unsigned char *)text, (int)len)
		      : 0;
	if (got < 0)
		return false;
	size_t size = (size_t)got;
	if (len && text[len - 1] == '=')
		size -= text[len - 2] == '=' ? 2 : 1;
	auto_free char *again = base64_encode(bytes, size);
	if (strlen(again) != len || memcmp(again, text, len) != 0)
		return false;
	bytes[size] = '\0';
	*out = TAKE(bytes);
	*n = size;
	return true;
}

bool int_parse(int64_t *out, const char *text, int64_t min, int64_t max)
{
	const char *digits = text + (text[0] == '-');
	char *end;

	if (!digits[0] || strspn(digits, "0123456789") != strlen(digits) ||
		(digits[0] == '0' && (digits[1] || digits != text)))
		return false;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno || *end || value < min || value > max)
		return false;
	*out = value;
	return true;
}
