/* SPDX-License-Identifier: Apache-2.0
 *
 * map.c: linear probing with backward-shift deletion (Knuth, TAOCP 6.4, algorithm R).
 */
#include "coordinator/map.h"

#include <stdlib.h>
#include <string.h>

static size_t home(const struct map *m, const unsigned char *name)
{
	uint64_t w[4], h = m->seed;

	memcpy(w, name, sizeof(w));
	for (int i = 0; i < 4; i++) {
		h ^= w[i];
		h = rng_next(&h); /* splitmix64's finaliser mixes all bits */
	}
	return (size_t)h & (m->room - 1);
}

static struct map_slot *find(const struct map *m, const unsigned char *name)
{
	size_t i = home(m, name);

	while (m->slots[i].value != MAP_NONE && memcmp(m->slots[i].name, name, 32) != 0)
		i = (i + 1) & (m->room - 1);
	return &m->slots[i];
}

uint32_t map_get(const struct map *m, const unsigned char name[32])
{
	return m->room ? find(m, name)->value : MAP_NONE;
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->room = old.room ? old.room * 2 : 64;
	m->slots = xmalloc(m->room * sizeof(*m->slots));
	for (size_t i = 0; i < m->room; i++)
		m->slots[i].value = MAP_NONE;
	for (size_t i = 0; i < old.room; i++)
		if (old.slots[i].value != MAP_NONE)
			*find(m, old.slots[i].name) = old.slots[i];
	free(old.slots);
}

void map_put(struct map *m, const unsigned char name[32], uint32_t value)
{
	if ((m->n + 1) * 4 > m->room * 3)
		grow(m);
	struct map_slot *s = find(m, name);

	m->n += s->value == MAP_NONE;
	memcpy(s->name, name, 32);
	s->value = value;
}

void map_drop(struct map *m, const unsigned char name[32])
{
	if (map_get(m, name) == MAP_NONE)
		return;
	size_t mask = m->room - 1, hole = (size_t)(find(m, name) - m->slots);

	for (size_t i = (hole + 1) & mask; m->slots[i].value != MAP_NONE; i = (i + 1) & mask) {
		size_t from = home(m, m->slots[i].name);

		if (((i - from) & mask) < ((i - hole) & mask))
			continue;
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole].value = MAP_NONE;
	m->n--;
}

void map_release(struct map *m)
{
	free(m->slots);
	*m = (struct map){ .seed = m->seed };
}
