/* SPDX-License-Identifier: Apache-2.0
 *
 * trust.h: whom a result comes from, and whether two of them are two.
 *
 * A voter is a key on a network under an owner. What the coordinator can know of independence is in
 * these three; the grid's --independence says how many of them must differ.
 *
 * Who comes through a relay has no network that could be known: two such never count as two, nor do a worker
 * and the relay it came through, in whichever order they voted. That is part of what `network` asks for; by
 * `key` alone networks mean nothing, and so do relays.
 */
#ifndef COORDINATOR_TRUST_H
#define COORDINATOR_TRUST_H

#include "common/base.h"
#include "common/id.h"

enum independence { BY_KEY, BY_NETWORK, BY_OWNER }; /* each asks for all before it too */

/* 0: exempt (loopback and private addresses, where a /24 says nothing); 1: not known, and two
 * unknown ones are the same; else a /24 or /48. */
typedef uint64_t network;
#define NETWORK_EXEMPT ((network)0)
#define NETWORK_UNKNOWN ((network)1)

struct voter {
	uint32_t worker; /* its key, as the scheduler numbers it */
	network net;
	uint64_t owner; /* its admission; 0: nobody vouches, so its key is its own owner */
	uint64_t self, relay; /* node_tag() of its key, and of the relay it came through (0: directly) */
	uint64_t kind; /* kind_tag() of its platform and class: no part of independence */
};

/* 64 bits of a key, never 0: enough to tell whether a vote's relay voted too. Keys made to share them only
 * count less. */
uint64_t node_tag(const struct id *id);

/* 64 bits that name a platform and class ("x86_64-linux", "x86_64-v3"), never 0. */
uint64_t kind_tag(const char *platform, const char *platform_class);

bool voters_independent(const struct voter *a, const struct voter *b, enum independence by);

/* The network of a numeric address as the coordinator saw it. */
network network_of(const char *address);

/* "key", "network" or "owner"; -1 for anything else. */
int independence_by_name(const char *name);

#endif
