/* SPDX-License-Identifier: Apache-2.0
 *
 * image.h: talkoot-image's three steps.
 *
 *	split    an image as people have it  -->  its configuration and its layers, as a tree stream
 *	flatten  layers                      -->  what survives of them, as a tree stream
 *	plant    a tree stream               -->  a folder
 *
 * split and flatten parse strangers' archives, and are run in a box; plant parses nothing but the
 * stream, and makes what it says beside whoever asked for it.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "image/layout.h"
#include "image/tree.h"

#define IMAGE_MIB 8192          /* of files, unless --max-mib says otherwise */
#define IMAGE_MIB_MAX (1 << 20) /* 1 TiB */
#define IMAGE_NOTES_MAX 100     /* lines about what was left out; the rest is counted */

struct image_options {
	int64_t most_bytes;
	struct layout_platform platform; /* "" where not given */
};

/* `fd` is a seekable file. */
int image_split(int fd, FILE *out, const struct image_options *o, struct err *e);
int image_flatten(
	char *const *paths, int n, FILE *out, const struct image_options *o, struct err *e);
/* `path` is made, or is an empty folder. After an error what it holds is of no use. */
int image_plant(const char *path, FILE *in, const struct image_options *o, struct err *e);

#endif
