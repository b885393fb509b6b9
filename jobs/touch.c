/* SPDX-License-Identifier: Apache-2.0
 *
 * touch.c: a set of paths in the order in which they came.
 *
 * The index is twice the maximum and made with the first path, so it never grows. The hash is FNV-1a (Fowler, Noll, Vo):
 * whoever could choose paths to make it slow runs as the person who packs.
 */
#include "jobs/touch.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_SIZE (2 * TOUCH_PATHS_MAX)

static size_t hash(const char *path)
{
	uint64_t h = 14695981039346656037u;

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 1099511628211u;
	return (size_t)(h % INDEX_SIZE);
}

size_t touches_add(struct touches *t, const char *path, unsigned how)
{
	size_t slot;

	if (path[0] != '/' || strlen(path) > TOUCH_PATH_MAX)
		return t->n;
	if (!t->index)
		t->index = xcalloc(INDEX_SIZE, sizeof(*t->index));
	for (slot = hash(path); t->index[slot]; slot = (slot + 1) % INDEX_SIZE) {
		struct touch *old = &t->at[t->index[slot] - 1];

		if (strcmp(old->path, path) != 0)
			continue;
		old->how |= how;
		return t->index[slot] - 1;
	}
	if (t->n == TOUCH_PATHS_MAX) {
		t->full = true;
		return t->n;
	}
	array_room(&t->at, &t->room, t->n, sizeof(*t->at));
	t->at[t->n++] = (struct touch){ xstrdup(path), how };
	t->index[slot] = t->n;
	return t->n - 1;
}

void touches_release(struct touches *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->at[i].path);
	free(t->at);
	free(t->index);
	*t = (struct touches){ 0 };
}
