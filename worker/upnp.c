/* SPDX-License-Identifier: Apache-2.0
 *
 * upnp.c: a port of the router by UPnP IGD, with miniupnpc.
 */
#include "worker/gateway.h"

#include <arpa/inet.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <stdlib.h>
#include <string.h>

#define DISCOVER_MS 2000
#define PORT_TRIES 4 /* outside ports, when another machine has the first */
#define PORT_LOW 20000
#define PORT_SPAN 40000
#define CONFLICT 718       /* ConflictInMappingEntry */
#define PERMANENT_ONLY 725 /* OnlyPermanentLeasesSupported */

struct router {
	struct UPNPUrls urls;
	struct IGDdatas data;
	char us[64]; /* our address, as it sees us */
};

static int find(struct router *r, const char *target, struct err *e)
{
	int bad;

	memset(r, 0, sizeof(*r));
	if (target)
		return UPNP_GetIGDFromUrl(target, &r->urls, &r->data, r->us, sizeof(r->us)) == 1
		               ? 0
		               : err_set(e, ERR_UNREACHABLE, "UPnP: %s describes no router",
					 target);
	struct UPNPDev *all =
		upnpDiscover(DISCOVER_MS, NULL, NULL, UPNP_LOCAL_PORT_ANY, 0, 2, &bad);
	int kind = all ? UPNP_GetValidIGD(all, &r->urls, &r->data, r->us, sizeof(r->us)) : 0;
	freeUPNPDevlist(all);
	if (kind == 1)
		return 0;
	if (kind)
		FreeUPNPUrls(&r->urls);
	return err_set(e, ERR_UNREACHABLE, "UPnP: no router that is connected answers");
}

static int add(const struct router *r, uint16_t outside, uint16_t port, const char *lease)
{
	char there[8], here[8];

	snprintf(there, sizeof(there), "%u", outside);
	snprintf(here, sizeof(here), "%u", port);
	return UPNP_AddPortMapping(r->urls.controlURL, r->data.first.servicetype, there, here,
		r->us, "talkoot", "TCP", NULL, lease);
}

/* The port that was ours, else the same as inside, else any. */
static int add_any(const struct router *r, struct mapping *m, uint16_t port, struct err *e)
{
	char lease[16];
	uint64_t seed = random_seed();
	uint16_t outside = m->outside.port ? m->outside.port : port;
	int bad = 0;

	snprintf(lease, sizeof(lease), "%d", GATEWAY_LEASE_S);
	m->lease_s = GATEWAY_LEASE_S;
	for (int i = 0; i < PORT_TRIES; i++) {
		bad = add(r, outside, port, lease);
		if (bad == PERMANENT_ONLY) {
			m->lease_s = 0;
			bad = add(r, outside, port, "0");
		}
		m->outside.port = outside;
		if (bad != CONFLICT)
			break;
		outside = (uint16_t)(PORT_LOW + rng_below(&seed, PORT_SPAN));
	}
	const char *why = bad ? strupnperror(bad) : NULL;
	return bad ? err_set(e, ERR_REFUSED, "UPnP: the router refused: %s (%d)",
			     why ? why : "unknown", bad)
	           : 0;
}

int upnp_map(struct mapping *m, const char *target, uint16_t port, struct err *e)
{
	struct in_addr address;
	struct router r;
	char outside[64] = "";

	if (find(&r, target, e))
		return -1;
	int bad = add_any(&r, m, port, e);
	if (!bad && UPNP_GetExternalIPAddress(r.urls.controlURL, r.data.first.servicetype, outside))
		outside[0] = '\0';
	FreeUPNPUrls(&r.urls);
	if (!bad && inet_pton(AF_INET, outside, &address) == 1) /* a stranger's text */
		snprintf(m->outside.host, sizeof(m->outside.host), "%.15s", outside);
	else if (!bad)
		snprintf(m->outside.host, sizeof(m->outside.host), "0.0.0.0");
	return bad;
}

void upnp_unmap(const struct mapping *m, const char *target, uint16_t port)
{
	struct router r;
	struct err e;
	char there[8];

	(void)port;
	if (find(&r, target, &e))
		return;
	snprintf(there, sizeof(there), "%u", m->outside.port);
	UPNP_DeletePortMapping(r.urls.controlURL, r.data.first.servicetype, there, "TCP", NULL);
	FreeUPNPUrls(&r.urls);
}
