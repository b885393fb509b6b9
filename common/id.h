/* SPDX-License-Identifier: Apache-2.0
 *
 * id.h: who somebody is (an Ed25519 public key, in hex) and where (a link).
 *
 *	talkoot://[NODEID@]HOST:PORT/GRIDID
 *
 * HOST is a name, an IPv4 address or an IPv6 address in brackets. Without NODEID@ the node's
 * key is GRIDID itself.
 */
#ifndef COMMON_ID_H
#define COMMON_ID_H

#include "common/base.h"
#include "common/err.h"

#define ID_BYTES 32
#define ID_TEXT 64 /* hex digits, without the NUL */
#define ID_PREFIX_MIN 8

struct id {
	unsigned char b[ID_BYTES];
};

bool id_parse(struct id *id, const char *text); /* exactly 64 lowercase hex digits */
void id_text(char out[ID_TEXT + 1], const struct id *id);
bool id_equal(const struct id *a, const struct id *b);
int id_compare(const struct id *a, const struct id *b);
/* Whether `prefix` is 8 to 64 lowercase hex digits. */
bool id_is_prefix(const char *prefix);

#define LINK_HOST_MAX 253
#define LINK_TEXT_MAX (10 + 64 + 1 + LINK_HOST_MAX + 2 + 6 + 1 + 64)

struct link {
	struct id node, grid;
	char host[LINK_HOST_MAX + 1]; /* without brackets */
	uint16_t port;
};

int link_parse(struct link *l, const char *text, struct err *e);
void link_text(char out[LINK_TEXT_MAX + 1], const struct link *l);

/* "ADDR:PORT" or "[V6]:PORT"; port 0 allowed. For --listen, --advertise and peers. */
struct endpoint {
	char host[LINK_HOST_MAX + 1];
	uint16_t port;
};
int endpoint_parse(struct endpoint *p, const char *text, struct err *e);
void endpoint_text(char out[LINK_HOST_MAX + 9], const struct endpoint *p);
/* The same node at the same place; the grid is not looked at. */
bool link_equal(const struct link *a, const struct link *b);
/* Where a link leads; and the link of a node of the grid that is there. */
struct endpoint link_at(const struct link *l);
struct link link_to(const struct id *node, const struct id *grid, const struct endpoint *at);
bool endpoint_is_loopback(const struct endpoint *p); /* 127/8, ::1 and "localhost" */

#endif
