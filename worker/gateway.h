/* SPDX-License-Identifier: Apache-2.0
 *
 * gateway.h: the two ways in which a home router opens a port: NAT-PMP (RFC 6886, libnatpmp) and UPnP IGD
 * (miniupnpc). Each call blocks for seconds, so only mapport.c's child process makes it.
 */
#ifndef WORKER_GATEWAY_H
#define WORKER_GATEWAY_H

#include "common/err.h"
#include "common/id.h"

#define GATEWAY_LEASE_S 3600   /* asked for; renewed at half of what is given */
#define GATEWAY_WAIT_MS 4000   /* for one answer of the router */
#define GATEWAY_TARGET_MAX 255 /* characters of --gateway */

struct mapping {
	struct endpoint outside; /* where the router says it listens for us */
	int64_t lease_s;         /* that it gave; 0: for ever */
};

/* Open the router's port for TCP port `port` of this machine, or renew it: m holds what the last call gave, all zero
 * before the first. target: which router (NULL: found by itself): an IPv4 address for NAT-PMP, the URL of its
 * description for UPnP. */
int natpmp_map(struct mapping *m, const char *target, uint16_t port, struct err *e);
int upnp_map(struct mapping *m, const char *target, uint16_t port, struct err *e);
/* Close it again. What goes wrong is not told: the lease ends by itself. */
void natpmp_unmap(const struct mapping *m, const char *target, uint16_t port);
void upnp_unmap(const struct mapping *m, const char *target, uint16_t port);

#endif
