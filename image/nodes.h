/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes.h: the tree of files and folders that layers make.
 *
 * A node knows its folder; it is found by (folder, name) in the C library's balanced tree, because a hash table's worst case
 * would be a stranger's to choose.
 */
#ifndef IMAGE_NODES_H
#define IMAGE_NODES_H

#include "image/tree.h"

#define NODES_MAX TREE_RECORDS_MAX
#define NODES_TEXT_MAX (64 * MIB) /* bytes of all links' texts */

enum merge_kind {
	MERGE_FOLDER,
	MERGE_FILE,
	MERGE_LINK, /* symbolic */
	MERGE_NAME, /* another name of a file: a hard link */
	MERGE_DEVICE,
	MERGE_FIFO,
	MERGE_SOCKET,
	MERGE_OTHER,
};

struct node {
	struct node *parent, *child, *previous, *next; /* NULL where there is none */
	struct node *next_name;
	char *text; /* of a link */
	uint32_t content;
	unsigned mode;
	enum merge_kind kind; /* FOLDER, FILE or LINK */
	const char *name;
};

struct nodes {
	struct node root;
	void *index;
	uint32_t n;
	int64_t text_bytes;
};

/* An empty root folder; nodes_empty() of it leaves nothing to free. */
void nodes_init(struct nodes *t);
/* What is in `folder` under that name, or NULL. */
struct node *nodes_child(struct nodes *t, struct node *folder, const char *name);
/* A new node in `folder`, where there is none of that name. NULL when there are too many. */
struct node *nodes_add(struct nodes *t, struct node *folder, const char *name);
/* A node (NULL and the root: none), with all that is in it. */
void nodes_remove(struct nodes *t, struct node *node);
/* All that is in a folder (NULL: none). */
void nodes_empty(struct nodes *t, struct node *folder);
/* What lies at a clean path ("" is the root), or NULL. */
struct node *nodes_find(struct nodes *t, const char *path);
/* A new node's text, copied. -1: now there is too much of it. */
int nodes_set_text(struct nodes *t, struct node *node, const char *text);
/* A node's path; 0 or more bytes. */
void node_path(char out[NAME_BYTES_MAX + 1], const struct node *n);

#endif
