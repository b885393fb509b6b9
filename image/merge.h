/* SPDX-License-Identifier: Apache-2.0
 *
 * merge.h: what survives when layers are laid over each other.
 *
 * The rules are those of the OCI image specification, "Image Layer Filesystem Changeset". A layer's
 * whiteouts act first, on what lower layers left (`.wh.NAME` hides NAME, `.wh..wh..opq` all that is in
 * its folder); then its entries are added in order, the later in place of the earlier, a folder onto a
 * folder keeping what is in it. So the order inside a layer decides nothing about whiteouts.
 *
 * Nothing here reads an archive: entries come as values, in the order of the archive, and each is
 * numbered, so that who reads the archive again knows which contents to take.
 */
#ifndef IMAGE_MERGE_H
#define IMAGE_MERGE_H

#include "image/nodes.h"

#define MERGE_ENTRIES_MAX NODES_MAX /* read from all layers together, and folders they imply */
#define MERGE_TEXT_MAX (64 * MIB) /* bytes of the names of one layer */
#define MERGE_LAYERS_MAX 127      /* what image builders allow */

struct merge_entry {
	const char *path; /* as the archive has it */
	const char *text; /* of links: where to; of names: the other path, as the archive has it */
	enum merge_kind kind;
	unsigned mode; /* 07777 at most */
	int64_t mtime_s;
	int64_t size;
};

/* A file's contents: entry `number` of layer `layer`. */
struct content {
	int layer;
	uint32_t number;
	unsigned mode; /* 0777 at most */
	int64_t mtime_s, size;
	struct node
		*names; /* set by merge_names(): NULL when no name survived; then node->next_name */
};

/* Told of what is left out or changed, with the clean path. */
typedef void merge_note(void *to, const char *path, const char *what);

struct merge;
/* `most_bytes`: of one file and of all files of all layers. `note` may be NULL. */
struct merge *merge_new(int64_t most_bytes, merge_note *note, void *to);
void merge_free(struct merge *m);

/* The next entry of the layer; borrowed. An error names the entry. */
int merge_add(struct merge *m, const struct merge_entry *entry, struct err *e);
/* The layer is complete: the next entry begins another. */
int merge_layer_end(struct merge *m, struct err *e);

/* The tree: its root, a folder; what lies at a clean path ("" is the root), or NULL. */
struct node *merge_root(struct merge *m);
struct node *merge_find(struct merge *m, const char *path);

/* All contents, in the order of layers and entries; find out which names of them survived. */
struct content *merge_contents(struct merge *m, size_t *n);
void merge_names(struct merge *m);

#endif
