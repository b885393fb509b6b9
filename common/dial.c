/* SPDX-License-Identifier: Apache-2.0
 *
 * dial.c: addresses sorted by the special-purpose registries of IANA (RFC 6890), as far as they matter here.
 */
#include "common/dial.h"

#include <arpa/inet.h>
#include <string.h>

enum range { RANGE_PUBLIC, RANGE_PRIVATE, RANGE_NEVER, RANGE_NAME };

struct span {
	unsigned char net[16];
	int bits;
	enum range range;
};

static const struct span four[] = {
	{ { 0 }, 8, RANGE_NEVER },
	{ { 10 }, 8, RANGE_PRIVATE },
	{ { 100, 64 }, 10, RANGE_PRIVATE },
	{ { 127 }, 8, RANGE_PRIVATE },
	{ { 169, 254 }, 16, RANGE_PRIVATE },
	{ { 172, 16 }, 12, RANGE_PRIVATE },
	{ { 192, 0, 0 }, 24, RANGE_NEVER },
	{ { 192, 0, 2 }, 24, RANGE_NEVER },
	{ { 192, 168 }, 16, RANGE_PRIVATE },
	{ { 198, 18 }, 15, RANGE_PRIVATE },
	{ { 198, 51, 100 }, 24, RANGE_NEVER },
	{ { 203, 0, 113 }, 24, RANGE_NEVER },
	{ { 224 }, 3, RANGE_NEVER },
};

static const struct span six[] = {
	{ { [15] = 1 }, 128, RANGE_PRIVATE },
	{ { 0 }, 96, RANGE_NEVER },                        /* unspecified, IPv4-compatible */
	{ { [10] = 0xff, [11] = 0xff }, 96, RANGE_NEVER }, /* another spelling of IPv4 */
	{ { 0x00, 0x64, 0xff, 0x9b }, 32, RANGE_NEVER },   /* translated IPv4 */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, RANGE_NEVER },
	{ { 0x20, 0x02 }, 16, RANGE_NEVER }, /* 6to4: IPv4 inside */
	{ { 0xfc }, 7, RANGE_PRIVATE },
	{ { 0xfe, 0x80 }, 10, RANGE_PRIVATE },
	{ { 0xff }, 8, RANGE_NEVER },
};

static bool within(const unsigned char *a, const struct span *s)
{
	int whole = s->bits / 8, rest = s->bits % 8;
	unsigned char mask = (unsigned char)(0xff << (8 - rest));

	return !memcmp(a, s->net, (size_t)whole) && (!rest || (a[whole] & mask) == s->net[whole]);
}

static enum range look(const unsigned char *a, const struct span *spans, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (within(a, &spans[i]))
			return spans[i].range;
	return RANGE_PUBLIC;
}

/* `a` gets the bytes in network order; *v6 which kind. */
static enum range sort(const struct endpoint *at, unsigned char a[16], bool *v6)
{
	memset(a, 0, 16);
	*v6 = inet_pton(AF_INET6, at->host, a) == 1;
	if (*v6)
		return look(a, six, ARRAY_LEN(six));
	if (inet_pton(AF_INET, at->host, a) == 1)
		return look(a, four, ARRAY_LEN(four));
	return !strcmp(at->host, "localhost") ? RANGE_PRIVATE : RANGE_NAME;
}

bool dial_allowed(const struct endpoint *at, bool joined_private)
{
	unsigned char a[16];
	bool v6;
	enum range range = sort(at, a, &v6);

	return at->port && (range == RANGE_PUBLIC || (range == RANGE_PRIVATE && joined_private));
}

bool dial_is_private(const struct endpoint *at)
{
	unsigned char a[16];
	bool v6;

	return sort(at, a, &v6) == RANGE_PRIVATE;
}

uint64_t dial_block(const struct endpoint *at)
{
	unsigned char a[16];
	bool v6;
	uint64_t block = 0;

	if (sort(at, a, &v6) == RANGE_PRIVATE)
		return 0;
	for (int i = 0; i < (v6 ? 4 : 2); i++)
		block = block << 8 | a[i];
	return block | (v6 ? (uint64_t)2 << 32 : (uint64_t)1 << 32);
}
