/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd_route.c: which route a method and a path mean. Paths are matched as they were sent, still
 * percent-encoded, so that an encoded slash does not end a segment.
 */
#include "common/httpd_in.h"

#include <stdlib.h>
#include <string.h>

/* Whether `path` (encoded) is `pattern`, in which "*" stands for one whole segment. */
static bool path_matches(const char *pattern, const char *path, char *parts[PARTS_MAX])
{
	size_t n = 0;

	while (*pattern && *path) {
		if (*pattern != '*') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		size_t len = strcspn(path, "/");
		if (len == 0 || n == PARTS_MAX)
			return false;
		free(parts[n]);
		parts[n++] = xmemdup(path, len);
		path += len;
		pattern++;
	}
	while (n < PARTS_MAX) { /* what an earlier pattern left */
		free(parts[n]);
		parts[n++] = NULL;
	}
	return !*pattern && !*path;
}

static bool method_matches(const char *want, const char *method, bool head_as_get)
{
	return !strcmp(want, method) ||
		(head_as_get && !strcmp(method, "HEAD") && !strcmp(want, "GET"));
}

const struct route *route_find(const struct httpd *h, const char *method, const char *path,
	char *parts[PARTS_MAX], bool *path_known)
{
	*path_known = false;
	for (int head_as_get = 0; head_as_get < 2; head_as_get++)
		for (size_t i = 0; i < h->spec.n_routes; i++) {
			const struct route *route = &h->spec.routes[i];
			bool fits = path_matches(route->path, path, parts);

			*path_known |= fits;
			if (fits && method_matches(route->method, method, head_as_get))
				return route;
		}
	return NULL;
}

/* "GET, HEAD, POST": what the path can do. Yours. */
char *route_methods(const struct httpd *h, const char *path)
{
	struct buf b = { 0 };
	char *parts[PARTS_MAX] = { 0 };

	for (size_t i = 0; i < h->spec.n_routes; i++) {
		const struct route *route = &h->spec.routes[i];

		if (!path_matches(route->path, path, parts))
			continue;
		buf_printf(&b, "%s%s%s", b.len ? ", " : "", route->method,
			strcmp(route->method, "GET") ? "" : ", HEAD");
	}
	for (size_t i = 0; i < PARTS_MAX; i++)
		free(parts[i]);
	return buf_take(&b);
}
