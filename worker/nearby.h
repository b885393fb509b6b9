/* SPDX-License-Identifier: Apache-2.0
 *
 * nearby.h: finding nodes of our grid on the local network: what is said, and to whom. No socket and no clock
 * in here; lan.h has them.
 *
 * After BitTorrent's Local Service Discovery (BEP 14): a small text in a UDP datagram to a multicast group; who is of
 * the same grid answers the sender. Differences: an answer goes to the sender alone and is shorter than
 * the question, so nobody can be hit with more than was spent; and what is heard is only an address to try: the
 * one the datagram came from. Whether the node is there and who it says, TLS tells (its key is pinned).
 *
 *	TALKOOT-SEARCH 1\r\n		to the group; TALKOOT-HERE 1: the answer
 *	Grid: 64 hex digits\r\n
 *	Node: 64 hex digits\r\n
 *	Port: 5 digits\r\n		00000: does not listen
 *	\r\n
 */
#ifndef WORKER_NEARBY_H
#define WORKER_NEARBY_H

#include "common/id.h"
#include "common/recent.h"

#define NEARBY_GROUP "239.255.84.75" /* of the IPv4 local scope, RFC 2365 */
#define NEARBY_PORT 7072
#define NEARBY_MAX 192 /* bytes of a datagram */

#define NEARBY_ANSWER_MS (60 * 1000) /* an address gets one answer in this time */
#define NEARBY_FOUND_MS (60 * 1000)  /* a node is told on once in this time */
#define NEARBY_LONELY_MS (60 * 1000) /* between two searches while nobody of the grid is reached */
#define NEARBY_CALM_MS (15 * 60 * 1000) /* and otherwise */
#define NEARBY_JITTER_MS (15 * 1000)    /* added, at random: neighbours do not all speak at once */

enum nearby_kind { NEARBY_SEARCH, NEARBY_HERE };

struct nearby {
	enum nearby_kind kind;
	struct id grid, node;
	uint16_t port;
};

/* The datagram's length. */
size_t nearby_write(char out[NEARBY_MAX + 1], const struct nearby *n);
/* Exactly one spelling; false for anything else. */
bool nearby_read(struct nearby *n, const char *bytes, size_t len);

/* What is remembered between datagrams. Zero it, and set the seed. */
struct nearby_rules {
	struct recent answered, found;
	int64_t last_ms, jitter_ms; /* of the last search */
	bool searched;
	uint64_t seed;
};

/* What to do with what was heard: a set of these. */
enum { NEARBY_TELL = 1, NEARBY_ANSWER = 2 };
/* me: as we would say it (kind does not matter). to_group: the datagram came to the group, not to us alone;
 * address: where from, numeric. */
unsigned nearby_hear(struct nearby_rules *r, const struct nearby *me, const struct nearby *heard,
	bool to_group, const char *address, int64_t now_ms);

/* Whether `from` is on the network of the interface that has this address and mask (all three in one byte order).
 * Nobody else is nearby: so a datagram cannot name a stranger to be dialled. */
bool nearby_is_local(uint32_t address, uint32_t mask, uint32_t from);

/* In how many ms to search; 0: now. lonely: nobody of the grid is reached. */
int64_t nearby_wait(const struct nearby_rules *r, bool lonely, int64_t now_ms);
void nearby_searched(struct nearby_rules *r, int64_t now_ms);

#endif
