/* SPDX-License-Identifier: Apache-2.0
 *
 * deed.h: what a peer did, for whoever keeps count of peers; and where peers to try come from.
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

/* Whoever needs peers to try is given this. */
struct sources {
	/* Up to max links of nodes that may have the blob (NULL: any node). */
	size_t (*list)(void *arg, const struct digest *blob, struct link *out, size_t max);
	void (*report)(void *arg, const struct id *node, enum peer_deed deed);
	void *arg;
};

#endif
