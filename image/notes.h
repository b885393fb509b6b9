/* SPDX-License-Identifier: Apache-2.0
 *
 * notes.h: what was left out or changed, told on standard error: the first IMAGE_NOTES_MAX lines, then a count.
 */
#ifndef IMAGE_NOTES_H
#define IMAGE_NOTES_H

struct notes {
	int told, untold;
};

/* A merge_note; `to` is a struct notes. */
void notes_add(void *to, const char *path, const char *what);
void notes_end(const struct notes *n);

#endif
