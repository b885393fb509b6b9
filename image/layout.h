/* SPDX-License-Identifier: Apache-2.0
 *
 * layout.h: what an image says of itself: which layers, in what order, and how it wants to be started.
 *
 * Reads the JSON of an OCI image layout (OCI Image Format Specification 1.1: image-layout, image-index,
 * manifest, config) and of an archive made by `docker save` (manifest.json). Its files come from
 * whoever has them; nothing here opens one.
 */
#ifndef IMAGE_LAYOUT_H
#define IMAGE_LAYOUT_H

#include "image/merge.h"
#include "image/sha.h"

#define LAYOUT_JSON_MAX MIB       /* one document */
#define LAYOUT_INDEX_DEPTH 4      /* an index that names indexes */
#define LAYOUT_MANIFESTS_MAX 1024 /* in all indexes together */
#define LAYOUT_WORDS_MAX 1024     /* of entrypoint, of cmd, of env */
#define LAYOUT_WORD_MAX 32768     /* bytes of each */
#define LAYOUT_NAME_MAX 63        /* of an architecture, an os, a variant */

struct layout_platform {
	char os[LAYOUT_NAME_MAX + 1], architecture[LAYOUT_NAME_MAX + 1];
	char variant[LAYOUT_NAME_MAX + 1]; /* "" when it has none */
};

/* Read "OS/ARCHITECTURE" or "OS/ARCHITECTURE/VARIANT". */
bool layout_platform_read(struct layout_platform *p, const char *text);
/* This machine's. */
struct layout_platform layout_platform_here(void);

/* A small file of the image: its text (borrowed, not NUL-terminated) and 1; 0 when there is none; -1. */
struct layout_source {
	int (*get)(void *from, const char *path, const char **text, size_t *n, struct err *e);
	void *from;
};

struct layout_layer {
	char *path;               /* clean; in the archive */
	char sha256[SHA_HEX + 1]; /* "" when nothing is said of it */
	int64_t size;             /* -1 when nothing is said */
};

struct layout {
	struct layout_layer layers[MERGE_LAYERS_MAX];
	int n_layers;
	char *json; /* image.json, with a newline at its end */
};

/* Which form: an OCI layout, an archive of `docker save`, or neither and then a root file system (no layer). `wanted`
 * may be empty: then this machine's is chosen, and a single image is taken whatever it is for. */
int layout_read(struct layout *l, const struct layout_source *s,
	const struct layout_platform *wanted, struct err *e);
void layout_release(struct layout *l);

#endif
