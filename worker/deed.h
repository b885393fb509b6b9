/* SPDX-License-Identifier: Apache-2.0
 *
 * deed.h: what other nodes did, and where bytes may be had: for those who need peers to try without knowing
 * how they are found.
 */
#ifndef WORKER_DEED_H
#define WORKER_DEED_H

#include "common/digest.h"
#include "common/id.h"

enum peer_deed {
	PEER_GOOD,
	PEER_WRONG_BYTES,
	PEER_BAD_SIGNATURE,
	PEER_FLOOD,
	PEER_STALE,
	PEER_UNREACHABLE
};

struct sources {
	size_t (*list)(void *arg, const struct digest *blob, struct link *out, size_t max);
	void (*report)(void *arg, const struct id *node, enum peer_deed deed);
	void *arg;
};

#endif
