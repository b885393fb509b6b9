/* SPDX-License-Identifier: Apache-2.0
 *
 * lan.c: nearby.h's datagrams on sockets.
 *
 * One socket hears the group (the ear), bound to the group's address so that nothing else reaches it. For each
 * interface one more speaks (a mouth) and hears the answers. Answers are sent with a TTL of 255 and taken only
 * with that: a router would have made it less, so they come from this network (RFC 5082). What goes to the
 * group has a TTL of 1 and stays here.
 */
#include "worker/lan.h"
#include "common/clock.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_MAX 32         /* datagrams read at once; the rest waits for the next turn */
#define LOOK_MS (15 * 1000) /* how often "lonely" is asked */

struct mouth {
	struct lan *lan;
	struct in_addr address, mask;
	int index, fd;
	struct watch *watch;
};

struct lan {
	struct lan_spec spec;
	struct loop *loop;
	struct timer *timer;
	struct nearby_rules rules;
	int ear;
	struct watch *ear_watch;
	struct mouth mouths[LAN_INTERFACES_MAX];
	size_t n_mouths;
};

/* --- hearing -------------------------------------------------------------------------------------------------- */

struct heard {
	char bytes[NEARBY_MAX + 1];
	size_t n;
	struct sockaddr_in from;
	int index, ttl; /* the interface; -1: not told */
};

static bool receive(int fd, struct heard *h)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { h->bytes, sizeof(h->bytes) };
	struct msghdr m = { .msg_name = &h->from,
		.msg_namelen = sizeof(h->from),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

	if (n < 0)
		return false;
	h->n = (size_t)n;
	h->index = h->ttl = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != IPPROTO_IP)
			continue;
		if (c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			h->index = info.ipi_ifindex;
		} else if (c->cmsg_type == IP_TTL) {
			memcpy(&h->ttl, CMSG_DATA(c), sizeof(h->ttl));
		}
	}
	return true;
}

static struct nearby self(const struct lan *n, enum nearby_kind kind)
{
	return (struct nearby){ kind, n->spec.grid, n->spec.node, n->spec.listen.port };
}

static void say(const struct mouth *m, enum nearby_kind kind, const struct sockaddr_in *to)
{
	struct nearby me = self(m->lan, kind);
	char text[NEARBY_MAX + 1];
	size_t n = nearby_write(text, &me);

	if (sendto(m->fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to,
		    sizeof(*to)) < 0)
		log_debug("local discovery: sending: %s", strerror(errno));
}

/* The mouth on the network that it came from; NULL: it is not from any of ours. */
static struct mouth *mouth_for(struct lan *n, const struct heard *h)
{
	for (size_t i = 0; i < n->n_mouths; i++) {
		struct mouth *m = &n->mouths[i];

		if (m->index == h->index &&
			nearby_is_local(m->address.s_addr, m->mask.s_addr, h->from.sin_addr.s_addr))
			return m;
	}
	return NULL;
}

static void hear(struct lan *n, const struct heard *h, bool to_group)
{
	struct nearby me = self(n, NEARBY_HERE), other;
	struct endpoint at = { 0 };
	const struct mouth *m = mouth_for(n, h);

	if (!m || !nearby_read(&other, h->bytes, h->n) || (!to_group && h->ttl != 255) ||
		!inet_ntop(AF_INET, &h->from.sin_addr, at.host, INET_ADDRSTRLEN))
		return;
	unsigned todo = nearby_hear(&n->rules, &me, &other, to_group, at.host, clock_mono_ms());
	if (todo & NEARBY_ANSWER)
		say(m, NEARBY_HERE, &h->from);
	at.port = other.port;
	if (todo & NEARBY_TELL)
		n->spec.found(n->spec.arg, &other.node, &at);
}

static void on_group(void *arg)
{
	struct lan *n = arg;
	struct heard h;

	for (int i = 0; i < TURN_MAX && receive(n->ear, &h); i++)
		hear(n, &h, true);
}

static void on_answer(void *arg)
{
	struct mouth *m = arg;
	struct heard h;

	for (int i = 0; i < TURN_MAX && receive(m->fd, &h); i++) {
		h.index = m->index;
		hear(m->lan, &h, false);
	}
}

/* --- sockets --------------------------------------------------------------------------------------------------- */

static int set(int fd, int option, const void *value, socklen_t n)
{
	return setsockopt(fd, IPPROTO_IP, option, value, n);
}

static int set_int(int fd, int option, int value)
{
	return set(fd, option, &value, sizeof(value));
}

static int open_ear(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(NEARBY_PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	inet_pton(AF_INET, NEARBY_GROUP, &at.sin_addr);
	if (fd >= 0 &&
		!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
			sizeof(on)) && /* workers of one machine */
		!set_int(fd, IP_MULTICAST_ALL, 0) &&
		!set_int(fd, IP_PKTINFO, 1) && !bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int open_mouth(const struct mouth *m)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = m->address };
	struct ip_mreqn by = { .imr_address = m->address, .imr_ifindex = m->index };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && !set(fd, IP_MULTICAST_IF, &by, sizeof(by)) &&
		!set_int(fd, IP_MULTICAST_TTL, 1) && !set_int(fd, IP_MULTICAST_LOOP, 1) &&
		!set_int(fd, IP_TTL, 255) && !set_int(fd, IP_RECVTTL, 1) &&
		!bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void add_mouth(struct lan *n, int index, struct in_addr address, struct in_addr mask)
{
	struct mouth *m = &n->mouths[n->n_mouths];
	struct ip_mreqn group = { .imr_ifindex = index };

	*m = (struct mouth){ .lan = n, .address = address, .mask = mask, .index = index };
	inet_pton(AF_INET, NEARBY_GROUP, &group.imr_multiaddr);
	if (set(n->ear, IP_ADD_MEMBERSHIP, &group, sizeof(group)) && errno != EADDRINUSE)
		return;
	m->fd = open_mouth(m);
	if (m->fd < 0)
		return;
	m->watch = watch_read(n->loop, m->fd, on_answer, m);
	n->n_mouths++;
}

/* --- interfaces -------------------------------------------------------------------------------------------------- */

static struct in_addr address_of(const struct sockaddr *sa)
{
	return ((const struct sockaddr_in *)(const void *)sa)->sin_addr;
}

static bool is_any(const char *host)
{
	return !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
}

static bool wanted(const struct lan *n, const struct ifaddrs *i)
{
	const struct endpoint *listen = &n->spec.listen;
	char text[INET_ADDRSTRLEN];
	struct in_addr address;

	if (!i->ifa_addr || !i->ifa_netmask || i->ifa_addr->sa_family != AF_INET ||
		!(i->ifa_flags & IFF_UP))
		return false;
	if (i->ifa_flags & IFF_LOOPBACK)
		return endpoint_is_loopback(listen);
	address = address_of(i->ifa_addr);
	inet_ntop(AF_INET, &address, text, sizeof(text));
	return (i->ifa_flags & IFF_MULTICAST) &&
	       (is_any(listen->host) || !strcmp(listen->host, text));
}

static void close_all(struct lan *n)
{
	for (size_t i = 0; i < n->n_mouths; i++) {
		watch_free(n->mouths[i].watch);
		close(n->mouths[i].fd);
	}
	n->n_mouths = 0;
	if (n->ear >= 0) {
		watch_free(n->ear_watch);
		close(n->ear);
	}
	n->ear = -1;
}

/* As the interfaces are now. */
static void open_all(struct lan *n)
{
	struct ifaddrs *all = NULL;

	n->ear = open_ear();
	if (n->ear < 0)
		return;
	n->ear_watch = watch_read(n->loop, n->ear, on_group, n);
	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *i = all; i && n->n_mouths < LAN_INTERFACES_MAX; i = i->ifa_next)
		if (wanted(n, i))
			add_mouth(n, (int)if_nametoindex(i->ifa_name), address_of(i->ifa_addr),
				address_of(i->ifa_netmask));
	freeifaddrs(all);
}

static void tick(void *arg)
{
	struct lan *n = arg;
	struct sockaddr_in group = { .sin_family = AF_INET, .sin_port = htons(NEARBY_PORT) };
	int64_t now = clock_mono_ms();

	if (nearby_wait(&n->rules, n->spec.lonely(n->spec.arg), now) == 0) {
		close_all(n);
		open_all(n);
		inet_pton(AF_INET, NEARBY_GROUP, &group.sin_addr);
		for (size_t i = 0; i < n->n_mouths; i++)
			say(&n->mouths[i], NEARBY_SEARCH, &group);
		log_debug("local discovery: searched on %zu interfaces", n->n_mouths);
		nearby_searched(&n->rules, now);
	}
	timer_in(n->timer, LOOK_MS);
}

struct lan *lan_new(struct loop *l, const struct lan_spec *spec)
{
	struct lan *n = xcalloc(1, sizeof(*n));

	n->spec = *spec;
	n->loop = l;
	n->ear = -1;
	n->rules.seed = random_seed();
	n->timer = timer_new(l, tick, n);
	timer_in(n->timer, 0);
	return n;
}

void lan_free(struct lan *n)
{
	if (!n)
		return;
	close_all(n);
	timer_free(n->timer);
	free(n);
}
