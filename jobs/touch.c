/* SPDX-License-Identifier: Apache-2.0
 *
 * touch.c: a set of paths in the order in which they came.
 *
 * The hash is FNV-1a (Fowler, Noll, Vo): whoever could choose paths to make it slow runs as the person who packs.
 */
#include "jobs/touch.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_FIRST 256

static uint64_t hash(const char *path)
{
	uint64_t h = 14695981039346656037u;

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 1099511628211u;
	return h;
}

/* Where `path` is in the index, or would be. */
static size_t *slot_of(const struct touches *t, const char *path)
{
	size_t slot = (size_t)(hash(path) % t->index_n);

	while (t->index[slot] && strcmp(t->at[t->index[slot] - 1].path, path) != 0)
		slot = (slot + 1) % t->index_n;
	return &t->index[slot];
}

static void make_room(struct touches *t)
{
	if (2 * (t->n + 1) <= t->index_n)
		return;
	free(t->index);
	t->index_n = t->index_n ? 2 * t->index_n : INDEX_FIRST;
	t->index = xcalloc(t->index_n, sizeof(*t->index));
	for (size_t i = 0; i < t->n; i++)
		*slot_of(t, t->at[i].path) = i + 1;
}

size_t touches_add(struct touches *t, const char *path, unsigned how)
{
	if (path[0] != '/' || strlen(path) > TOUCH_PATH_MAX)
		return t->n;
	make_room(t);
	size_t *slot = slot_of(t, path);
	if (*slot) {
		t->at[*slot - 1].how |= how;
		return *slot - 1;
	}
	if (t->n == TOUCH_PATHS_MAX) {
		t->full = true;
		return t->n;
	}
	array_room(&t->at, &t->room, t->n, sizeof(*t->at));
	t->at[t->n++] = (struct touch){ xstrdup(path), how };
	*slot = t->n;
	return t->n - 1;
}

bool touches_has(const struct touches *t, const char *path)
{
	return t->index && *slot_of(t, path);
}

void touches_release(struct touches *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->at[i].path);
	free(t->at);
	free(t->index);
	*t = (struct touches){ 0 };
}
