/* SPDX-License-Identifier: Apache-2.0
 *
 * lan.h: nearby.h's datagrams on the interfaces that the worker listens on, and on no other.
 *
 * A worker that listens on loopback speaks on loopback alone; one that listens everywhere on every interface that is up and
 * can multicast, but loopback. IPv4 only: a network of today has it at home. Where there is no such interface nothing is
 * said; interfaces that come later are seen before the next search.
 */
#ifndef WORKER_LAN_H
#define WORKER_LAN_H

#include "worker/nearby.h"
#include "common/loop.h"

#define LAN_INTERFACES_MAX 8

struct lan;

struct lan_spec {
	struct endpoint listen; /* the peer port; its port is the one that it got */
	struct id grid, node;
	bool (*lonely)(void *arg); /* whether nobody of the grid is reached */
	/* A node of our grid says it is there: an address to try, no more. From the loop. */
	void (*found)(void *arg, const struct id *node, const struct endpoint *at);
	void *arg;
};

struct lan *lan_new(struct loop *l, const struct lan_spec *spec);
void lan_free(struct lan *n); /* NULL is fine */

#endif
