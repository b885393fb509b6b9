/* SPDX-License-Identifier: Apache-2.0
 *
 * which.c: see which.h.
 */
#include "jobs/which.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(const char *path)
{
	struct stat st;

	return !access(path, X_OK) && !stat(path, &st) && S_ISREG(st.st_mode);
}

char *which_program(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return is_program(name) ? xstrdup(name) : NULL;
	for (const char *at = path; at && *at; at += strcspn(at, ":"), at += *at == ':') {
		size_t n = strcspn(at, ":");
		char *file = xprintf("%.*s%s%s", (int)n, at, n ? "/" : "./", name);

		if (is_program(file))
			return file;
		free(file);
	}
	return NULL;
}
