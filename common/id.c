/* SPDX-License-Identifier: Apache-2.0
 *
 * id.c: ids, links and endpoints, each with one accepted spelling.
 */
#include "common/id.h"
#include "common/codec.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

bool id_parse(struct id *id, const char *text)
{
	return hex_decode(id->b, ID_BYTES, text);
}

void id_text(char out[ID_TEXT + 1], const struct id *id)
{
	hex_encode(out, id->b, ID_BYTES);
}

bool id_equal(const struct id *a, const struct id *b)
{
	return !memcmp(a->b, b->b, ID_BYTES);
}

int id_compare(const struct id *a, const struct id *b)
{
	return memcmp(a->b, b->b, ID_BYTES);
}

bool id_is_prefix(const char *prefix)
{
	size_t n = strlen(prefix);

	return n >= ID_PREFIX_MIN && n <= ID_TEXT && strspn(prefix, "0123456789abcdef") == n;
}

static bool host_ok(const char *host, bool bracketed)
{
	struct in6_addr v6;

	if (bracketed)
		return inet_pton(AF_INET6, host, &v6) == 1;
	for (const char *c = host; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '.' && *c != '-')
			return false;
	return host[0] != '\0' && host[0] != '-';
}

/* HOST:PORT of n bytes at text. */
static int endpoint_part(struct endpoint *p, const char *text, size_t n, struct err *e)
{
	char copy[LINK_HOST_MAX + 16];
	int64_t port;

	if (n >= sizeof(copy))
		return err_set(e, ERR_MALFORMED, "the host is too long");
	memcpy(copy, text, n);
	copy[n] = '\0';
	char *colon = strrchr(copy, ':');
	if (!colon || !int_parse(&port, colon + 1, 0, 65535))
		return err_set(e, ERR_MALFORMED,
			"\"%s\" is not HOST:PORT (port 0 to 65535, IPv6 in brackets)", copy);
	*colon = '\0';
	char *host = copy;
	bool bracketed = host[0] == '[' && colon > host + 1 && colon[-1] == ']';
	if (bracketed) {
		colon[-1] = '\0';
		host++;
	}
	size_t len = strlen(host);
	if (!host_ok(host, bracketed) || len > LINK_HOST_MAX)
		return err_set(e, ERR_MALFORMED, "\"%s\" is not a host name or address", host);
	memcpy(p->host, host, len + 1);
	p->port = (uint16_t)port;
	return 0;
}

int endpoint_parse(struct endpoint *p, const char *text, struct err *e)
{
	return endpoint_part(p, text, strlen(text), e);
}

void endpoint_text(char out[LINK_HOST_MAX + 9], const struct endpoint *p)
{
	bool v6 = strchr(p->host, ':') != NULL;

	snprintf(out, LINK_HOST_MAX + 9, "%s%s%s:%u", v6 ? "[" : "", p->host, v6 ? "]" : "",
		(unsigned)p->port);
}

bool endpoint_is_loopback(const struct endpoint *p)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET6, p->host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
	return !strcasecmp(p->host, "localhost") ||
		(inet_pton(AF_INET, p->host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

bool link_equal(const struct link *a, const struct link *b)
{
	return id_equal(&a->node, &b->node) && a->port == b->port && !strcmp(a->host, b->host);
}

struct endpoint link_at(const struct link *l)
{
	struct endpoint at = { .port = l->port };

	memcpy(at.host, l->host, sizeof(at.host));
	return at;
}

struct link link_to(const struct id *node, const struct id *grid, const struct endpoint *at)
{
	struct link l = { .node = *node, .grid = *grid, .port = at->port };

	memcpy(l.host, at->host, sizeof(l.host));
	return l;
}

int link_parse(struct link *l, const char *text, struct err *e)
{
	static const char scheme[] = "talkoot://";
	struct endpoint p;
	char node[ID_TEXT + 1];

	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
		return err_set(e, ERR_MALFORMED, "a link begins with talkoot://");
	const char *at = text + sizeof(scheme) - 1;
	const char *slash = strchr(at, '/');
	if (!slash || !id_parse(&l->grid, slash + 1))
		return err_set(e, ERR_MALFORMED,
			"a link ends in / and the grid id, 64 hex digits (talkoot://[NODEID@]HOST:PORT/GRIDID)");
	l->node = l->grid;
	const char *mark = memchr(at, '@', (size_t)(slash - at));
	if (mark) {
		if (mark - at != ID_TEXT)
			return err_set(e, ERR_MALFORMED, "the node id before @ is not 64 hex digits");
		memcpy(node, at, ID_TEXT);
		node[ID_TEXT] = '\0';
		if (!id_parse(&l->node, node))
			return err_set(e, ERR_MALFORMED, "the node id before @ is not 64 hex digits");
		at = mark + 1;
	}
	if (endpoint_part(&p, at, (size_t)(slash - at), e))
		return -1;
	if (p.port == 0)
		return err_set(e, ERR_MALFORMED, "a link's port is 1 to 65535");
	memcpy(l->host, p.host, sizeof(l->host));
	l->port = p.port;
	return 0;
}

void link_text(char out[LINK_TEXT_MAX + 1], const struct link *l)
{
	char node[ID_TEXT + 2] = "", grid[ID_TEXT + 1], where[LINK_HOST_MAX + 9];
	struct endpoint p = link_at(l);

	endpoint_text(where, &p);
	id_text(grid, &l->grid);
	if (!id_equal(&l->node, &l->grid)) {
		id_text(node, &l->node);
		strcat(node, "@");
	}
	snprintf(out, LINK_TEXT_MAX + 1, "talkoot://%s%s/%s", node, where, grid);
}
