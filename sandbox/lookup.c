/* SPDX-License-Identifier: Apache-2.0
 *
 * lookup.c: see lookup.h.
 */
#include "sandbox/lookup.h"

#include <stdlib.h>
#include <string.h>

static size_t count(const char *path)
{
	size_t n = 1;

	for (; *path; path++)
		n += *path == ':';
	return n;
}

/* The list and behind it the texts. */
static char **make(size_t n, size_t bytes, struct why *w)
{
	char **list = calloc(1, (n + 1) * sizeof(*list) + bytes);

	if (!list)
		why_set(w, "no memory");
	return list;
}

static int just_one(char ***out, const char *name, struct why *w)
{
	char **list = make(1, strlen(name) + 1, w);

	if (!list)
		return -1;
	list[0] = (char *)(list + 2);
	strcpy(list[0], name);
	*out = list;
	return 0;
}

/* Folder `dir` of `n` bytes, a slash, `name`; gives where the next text begins. */
static char *put(char *at, const char *dir, size_t n, const char *name)
{
	memcpy(at, n ? dir : ".", n ? n : 1);
	at += n ? n : 1;
	*at++ = '/';
	strcpy(at, name);
	return at + strlen(name) + 1;
}

int lookup_paths(char ***out, const char *name, const char *path, struct why *w)
{
	size_t n = count(path), bytes = strlen(path) + n * (strlen(name) + 3);
	char **list, *at;

	if (strlen(name) > LOOKUP_PATH_MAX)
		return why_set(w, "PROGRAM %.60s…: longer than %d bytes", name, LOOKUP_PATH_MAX);
	if (strchr(name, '/'))
		return just_one(out, name, w);
	if (n > LOOKUP_MAX)
		return why_set(w, "PATH has more than %d folders", LOOKUP_MAX);
	list = make(n, bytes, w);
	if (!list)
		return -1;
	at = (char *)(list + n + 1);
	for (size_t i = 0; i < n; i++) {
		size_t length = strcspn(path, ":");

		list[i] = at;
		at = put(at, path, length, name);
		path += length + 1;
	}
	*out = list;
	return 0;
}
