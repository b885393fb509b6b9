/* SPDX-License-Identifier: Apache-2.0
 *
 * mapport.h: keeps a port open at the router (--map-port) while the worker lives.
 *
 * A child process talks to the router, since that blocks: it opens the port, renews it at half of its lease, and
 * closes it when the worker is gone, however it went. It says what came out a line at a time:
 *
 *	mapped HOST:PORT	that is where the router listens for us
 *	failed WHY		it does not (any more)
 */
#ifndef WORKER_MAPPORT_H
#define WORKER_MAPPORT_H

#include "common/err.h"
#include "common/id.h"
#include "common/loop.h"

#define MAPPORT_LINE_MAX 400

/* A line of the child. mapped: *at is filled, else *why (borrowed from `line`). False: it is no such line. */
bool mapport_read(const char *line, bool *mapped, struct endpoint *at, const char **why);

struct mapport;

struct mapport_spec {
	struct loop *loop;
	uint16_t port; /* of this machine */
	const char
		*gateway; /* an IPv4 address (NAT-PMP), a URL (UPnP), NULL: tried in this order */
	/* From the loop, whenever that changes; at: NULL when the port is not open. */
	void (*changed)(void *arg, const struct endpoint *at);
	void *arg;
};

int mapport_new(struct mapport **out, const struct mapport_spec *spec, struct err *e);
/* The child closes the port; it is not waited for. NULL is fine. */
void mapport_free(struct mapport *p);
/* Whether --gateway may be that. */
bool mapport_gateway_ok(const char *gateway);

#endif
