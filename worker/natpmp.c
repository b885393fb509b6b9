/* SPDX-License-Identifier: Apache-2.0
 *
 * natpmp.c: a port of the router by NAT-PMP (RFC 6886), with libnatpmp.
 */
#include "common/clock.h"
#include "worker/gateway.h"

#include <arpa/inet.h>
#include <natpmp.h>
#include <poll.h>
#include <string.h>

static int open_router(natpmp_t *n, const char *target, struct err *e)
{
	struct in_addr at = { 0 };

	if (target && inet_pton(AF_INET, target, &at) != 1)
		return err_set(e, ERR_USAGE, "%s is no IPv4 address", target);
	int bad = initnatpmp(n, target != NULL, at.s_addr);
	return bad ? err_set(e, ERR_UNREACHABLE, "NAT-PMP: no router is known (%d)", bad) : 0;
}

/* Wait for the answer of that type to what was just sent; the library sends it again now and then. So a slow router
 * answers twice, and what comes late is the answer to the question before: the library does not look. */
static int answer(natpmp_t *n, natpmpresp_t *r, uint16_t type, struct err *e)
{
	int64_t end = clock_mono_ms() + GATEWAY_WAIT_MS;
	int got = NATPMP_TRYAGAIN;

	while (got == NATPMP_TRYAGAIN && clock_mono_ms() < end) {
		struct pollfd p = { .fd = n->s, .events = POLLIN };
		struct timeval left = { 0 };

		getnatpmprequesttimeout(n, &left);
		int64_t ms = left.tv_sec * 1000 + left.tv_usec / 1000 + 1;
		poll(&p, 1, (int)(ms > 0 && ms < GATEWAY_WAIT_MS ? ms : 1));
		got = readnatpmpresponseorretry(n, r);
		if (!got && r->type != type) {
			n->has_pending_request = 1;
			got = NATPMP_TRYAGAIN;
		}
	}
	if (got == NATPMP_TRYAGAIN || got == NATPMP_ERR_NOGATEWAYSUPPORT)
		return err_set(e, ERR_UNREACHABLE, "NAT-PMP: the router does not answer");
	return got ? err_set(e, ERR_REFUSED, "NAT-PMP: the router refused (%d)", got) : 0;
}

static int ask(natpmp_t *n, struct mapping *m, uint16_t port, struct err *e)
{
	natpmpresp_t r = { 0 };

	if (sendpublicaddressrequest(n) < 0)
		return err_set(e, ERR_UNREACHABLE, "NAT-PMP: nothing can be sent to the router");
	if (answer(n, &r, NATPMP_RESPTYPE_PUBLICADDRESS, e))
		return -1;
	inet_ntop(AF_INET, &r.pnu.publicaddress.addr, m->outside.host, INET_ADDRSTRLEN);
	if (sendnewportmappingrequest(n, NATPMP_PROTOCOL_TCP, port,
		    m->outside.port ? m->outside.port : port, GATEWAY_LEASE_S) < 0)
		return err_set(e, ERR_UNREACHABLE, "NAT-PMP: nothing can be sent to the router");
	if (answer(n, &r, NATPMP_RESPTYPE_TCPPORTMAPPING, e))
		return -1;
	m->outside.port = r.pnu.newportmapping.mappedpublicport;
	m->lease_s = r.pnu.newportmapping.lifetime;
	if (!m->outside.port || !m->lease_s)
		return err_set(e, ERR_REFUSED, "NAT-PMP: the router gave no port");
	return 0;
}

int natpmp_map(struct mapping *m, const char *target, uint16_t port, struct err *e)
{
	natpmp_t n;

	if (open_router(&n, target, e))
		return -1;
	int bad = ask(&n, m, port, e);
	closenatpmp(&n);
	return bad;
}

void natpmp_unmap(const struct mapping *m, const char *target, uint16_t port)
{
	natpmpresp_t r;
	natpmp_t n;
	struct err e;

	(void)m; /* RFC 6886, 3.4: the outside port must be 0 here */
	if (open_router(&n, target, &e))
		return;
	if (sendnewportmappingrequest(&n, NATPMP_PROTOCOL_TCP, port, 0, 0) >= 0)
		answer(&n, &r, NATPMP_RESPTYPE_TCPPORTMAPPING, &e);
	closenatpmp(&n);
}
