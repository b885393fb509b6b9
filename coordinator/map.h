/* SPDX-License-Identifier: Apache-2.0
 *
 * map.h: from a 32-byte name (key, digest, lease id) to a number. Open addressing; the place of a
 * name depends on a seed, so that chosen names cannot be made to collide.
 */
#ifndef COORDINATOR_MAP_H
#define COORDINATOR_MAP_H

#include "common/base.h"

#define MAP_NONE UINT32_MAX

struct map_slot {
	unsigned char name[32];
	uint32_t value; /* MAP_NONE: empty */
};

struct map {
	struct map_slot *slots;
	size_t room, n; /* room: a power of two, or 0 */
	uint64_t seed;
};

uint32_t map_get(const struct map *m, const unsigned char name[32]); /* or MAP_NONE */
void map_put(struct map *m, const unsigned char name[32], uint32_t value);
void map_drop(struct map *m, const unsigned char name[32]);
void map_release(struct map *m);

#endif
