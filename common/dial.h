/* SPDX-License-Identifier: Apache-2.0
 *
 * dial.h: which gossiped addresses are dialled, and which of them are one network block.
 */
#ifndef COMMON_DIAL_H
#define COMMON_DIAL_H

#include "common/id.h"

/* Whether an address that a stranger named may be dialled: a number, not a name, with a port; loopback, private,
 * link-local, shared (RFC 6598) and the like only if the joined link was such. Multicast, broadcast, unspecified and
 * documentation addresses never. */
bool dial_allowed(const struct endpoint *at, bool joined_private);
/* Whether it is loopback, private, link-local or shared: what `joined_private` of a joined link is made from. */
bool dial_is_private(const struct endpoint *at);
/* The network block: /16 of IPv4, /32 of IPv6 (what one registry customer easily has). 0: exempt, since private. */
uint64_t dial_block(const struct endpoint *at);

#endif
