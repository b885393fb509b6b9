/* SPDX-License-Identifier: Apache-2.0
 *
 * glob.c: `at[i]` says whether the pattern's first i bytes can have matched what was read of the path: all ways at once,
 * so many stars cost no more than few.
 */
#include "jobs/glob.h"

#include <string.h>

/* A star may stand for nothing: what reaches it reaches the byte behind it. */
static void skip_stars(bool at[GLOB_MAX + 1], const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (at[i] && p[i] == '*')
			at[i + 1] = true;
}

/* Read c of the path. Backwards, so that at[i] is still the old one when at[i + 1] is made of it. */
static bool glob_step(bool at[GLOB_MAX + 1], const char *p, size_t n, char c)
{
	bool any = false;

	for (size_t i = n + 1; i-- > 0;) {
		bool star = i < n && p[i] == '*';
		bool deep = star && (p[i + 1] == '*' || (i > 0 && p[i - 1] == '*'));
		bool stays = at[i] && star && (deep || c != '/');
		bool comes = i > 0 && at[i - 1] && p[i - 1] != '*' &&
		             (p[i - 1] == '?' ? c != '/' : p[i - 1] == c);

		at[i] = stays || comes;
		any |= at[i];
	}
	return any;
}

bool glob_matches(const char *p, const char *path)
{
	bool at[GLOB_MAX + 1] = { true };
	size_t n = strlen(p);

	if (n > GLOB_MAX)
		return false;
	skip_stars(at, p, n);
	for (; *path; path++) {
		if (!glob_step(at, p, n, *path))
			return false;
		skip_stars(at, p, n);
	}
	return at[n];
}
