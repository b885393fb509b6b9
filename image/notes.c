/* SPDX-License-Identifier: Apache-2.0
 *
 * notes.c: what was left out or changed, told on standard error.
 */
#include "image/notes.h"

#include "image/image.h"

void notes_add(void *to, const char *path, const char *what)
{
	struct notes *n = to;

	if (n->told == IMAGE_NOTES_MAX) {
		n->untold++;
		return;
	}
	n->told++;
	fprintf(stderr, "talkoot-image: %s: %s\n", name_shown(path), what);
}

void notes_end(const struct notes *n)
{
	if (n->untold)
		fprintf(stderr, "talkoot-image: and %d more of these\n", n->untold);
}
