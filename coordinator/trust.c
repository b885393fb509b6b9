/* SPDX-License-Identifier: Apache-2.0
 *
 * trust.c: whether two voters are two, and the network an address belongs to.
 */
#include "coordinator/trust.h"

#include <arpa/inet.h>
#include <string.h>

bool voters_independent(const struct voter *a, const struct voter *b, enum independence by)
{
	if (a->worker == b->worker)
		return false;
	if (by >= BY_NETWORK && a->net == b->net && a->net != NETWORK_EXEMPT)
		return false;
	if (by >= BY_NETWORK &&
		((a->relay && a->relay == b->self) || (b->relay && b->relay == a->self)))
		return false;
	if (by >= BY_OWNER && a->owner == b->owner && a->owner != 0)
		return false;
	return true;
}

uint64_t node_tag(const struct id *id)
{
	uint64_t tag;

	memcpy(&tag, id->b, sizeof(tag));
	return tag ? tag : 1;
}

/* FNV-1a (Fowler, Noll, Vo), 64 bits: who makes two classes share a tag has only classes that nobody has. */
uint64_t kind_tag(const char *platform, const char *platform_class)
{
	uint64_t tag = 0xcbf29ce484222325u;

	for (const char *p = platform; *p; p++)
		tag = (tag ^ (unsigned char)*p) * 0x100000001b3u;
	tag *= 0x100000001b3u; /* a NUL between them */
	for (const char *p = platform_class; *p; p++)
		tag = (tag ^ (unsigned char)*p) * 0x100000001b3u;
	return tag ? tag : 1;
}

static bool within(uint32_t address, uint32_t net, int bits)
{
	return (address ^ net) >> (32 - bits) == 0;
}

/* RFC 1122 loopback, RFC 1918 private, RFC 3927 link-local */
static network network_of_v4(uint32_t a)
{
	if (within(a, 0x7f000000, 8) || within(a, 0x0a000000, 8) || within(a, 0xac100000, 12) ||
		within(a, 0xc0a80000, 16) || within(a, 0xa9fe0000, 16))
		return NETWORK_EXEMPT;
	return (network)4 << 56 | a >> 8;
}

network network_of(const char *address)
{
	struct in_addr v4;
	struct in6_addr v6;
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	uint64_t top = 0;
	uint32_t low;

	if (inet_pton(AF_INET, address, &v4) == 1)
		return network_of_v4(ntohl(v4.s_addr));
	if (inet_pton(AF_INET6, address, &v6) != 1)
		return NETWORK_UNKNOWN;
	memcpy(&low, v6.s6_addr + 12, 4);
	if (!memcmp(v6.s6_addr, mapped, sizeof(mapped)))
		return network_of_v4(ntohl(low));
	/* ::1, fc00::/7 (RFC 4193), fe80::/10 */
	if (IN6_IS_ADDR_LOOPBACK(&v6) || (v6.s6_addr[0] & 0xfe) == 0xfc ||
		IN6_IS_ADDR_LINKLOCAL(&v6))
		return NETWORK_EXEMPT;
	for (int i = 0; i < 6; i++)
		top = top << 8 | v6.s6_addr[i];
	return (network)6 << 56 | top;
}

int independence_by_name(const char *name)
{
	static const char *const names[] = { "key", "network", "owner" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -1;
}
