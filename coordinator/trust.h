/* SPDX-License-Identifier: Apache-2.0
 *
 * trust.h: whom a result comes from, and whether two of them are two.
 *
 * A voter is a key on a network under an owner. What the coordinator can know of independence is in
 * these three; the grid's --independence says how many of them must differ.
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
};

bool voters_independent(const struct voter *a, const struct voter *b, enum independence by);

/* The network of a numeric address as the coordinator saw it. */
network network_of(const char *address);

/* "key", "network" or "owner"; -1 for anything else. */
int independence_by_name(const char *name);

#endif
