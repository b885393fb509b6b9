/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd_peer.c: how many connections each address has. An IPv6 subscriber has a /64, so that is
 * one address here; loopback is not counted.
 */
#include "common/httpd_in.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void address_read(struct conn *c, unsigned char key[16], bool *loopback)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&ss;
	struct sockaddr_in *four = (struct sockaddr_in *)&ss;

	memset(key, 0, 16);
	*loopback = false;
	if (getpeername(c->fd, (struct sockaddr *)&ss, &len))
		return; /* gone already */
	if (ss.ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		memcpy(key, &six->sin6_addr, 8); /* one subscriber has a /64 */
		*loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
		inet_ntop(AF_INET6, &six->sin6_addr, c->address, sizeof(c->address));
		return;
	}
	struct in_addr a = four->sin_addr;
	if (ss.ss_family == AF_INET6)
		memcpy(&a, &six->sin6_addr.s6_addr[12], 4);
	memset(key + 8, 0xff, 4);
	memcpy(key + 12, &a, 4);
	*loopback = (ntohl(a.s_addr) >> 24) == 127;
	inet_ntop(AF_INET, &a, c->address, sizeof(c->address));
}

static struct peer **peer_slot(struct httpd *h, const unsigned char key[16])
{
	uint32_t hash = 2166136261u; /* FNV-1a; the buckets only save time */

	for (size_t i = 0; i < 16; i++)
		hash = (hash ^ key[i]) * 16777619u;
	struct peer **p = &h->peers[(hash ^ (hash >> 16)) % PEER_BUCKETS];
	while (*p && memcmp((*p)->key, key, 16) != 0)
		p = &(*p)->next;
	return p;
}

void peer_count(struct conn *c)
{
	unsigned char key[16];
	bool loopback;

	address_read(c, key, &loopback);
	if (loopback)
		return;
	struct peer **p = peer_slot(c->h, key);
	if (!*p) {
		*p = xcalloc(1, sizeof(**p));
		memcpy((*p)->key, key, 16);
	}
	c->peer = *p;
	c->peer->conns++;
}

void peer_uncount(struct conn *c)
{
	if (!c->peer || --c->peer->conns > 0)
		return;
	struct peer **p = peer_slot(c->h, c->peer->key);
	*p = c->peer->next;
	free(c->peer);
}
