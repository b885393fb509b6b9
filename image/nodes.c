/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes.c: see nodes.h.
 */
#include "image/nodes.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

void nodes_init(struct nodes *t)
{
	*t = (struct nodes){ .root = { .kind = MERGE_FOLDER, .mode = 0755, .name = "" } };
}

static int by_place(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	if (x->parent != y->parent)
		return (uintptr_t)x->parent < (uintptr_t)y->parent ? -1 : 1;
	return strcmp(x->name, y->name);
}

struct node *nodes_child(struct nodes *t, struct node *folder, const char *name)
{
	struct node key = { .parent = folder, .name = name };
	struct node **found = (struct node **)tfind(&key, &t->index, by_place);

	return found ? *found : NULL;
}

struct node *nodes_add(struct nodes *t, struct node *folder, const char *name)
{
	size_t n = strlen(name) + 1;
	struct node *node;

	if (t->n == NODES_MAX)
		return NULL;
	node = xcalloc(1, sizeof(*node) + n);
	node->name = memcpy((char *)(node + 1), name, n);
	node->parent = folder;
	node->next = folder->child;
	if (node->next)
		node->next->previous = node;
	folder->child = node;
	void *put = tsearch(node, &t->index, by_place);
	assert(put && *(struct node **)put == node);
	t->n++;
	return node;
}

void nodes_remove(struct nodes *t, struct node *node)
{
	if (!node || node == &t->root)
		return;
	nodes_empty(t, node); /* as deep as NAME_DEPTH_MAX */
	tdelete(node, &t->index, by_place);
	if (node->previous)
		node->previous->next = node->next;
	else
		node->parent->child = node->next;
	if (node->next)
		node->next->previous = node->previous;
	t->n--;
	if (node->text)
		t->text_bytes -= (int64_t)strlen(node->text);
	free(node->text);
	free(node);
}

void nodes_empty(struct nodes *t, struct node *folder)
{
	while (folder && folder->child)
		nodes_remove(t, folder->child);
}

int nodes_set_text(struct nodes *t, struct node *node, const char *text)
{
	t->text_bytes += (int64_t)strlen(text);
	node->text = xstrdup(text);
	return t->text_bytes > NODES_TEXT_MAX ? -1 : 0;
}

struct node *nodes_find(struct nodes *t, const char *path)
{
	char part[NAME_PART_MAX + 1];
	struct node *node = &t->root;

	while (node && *path) {
		size_t n = strcspn(path, "/");

		assert(n && n <= NAME_PART_MAX);
		memcpy(part, path, n);
		part[n] = 0;
		node = nodes_child(t, node, part);
		path += n + (path[n] == '/');
	}
	return node;
}

void node_path(char out[NAME_BYTES_MAX + 1], const struct node *n)
{
	size_t at = NAME_BYTES_MAX;

	out[at] = 0;
	for (; n->parent; n = n->parent) {
		size_t len = strlen(n->name);

		if (out[at])
			out[--at] = '/';
		at -= len;
		memcpy(out + at, n->name, len);
	}
	memmove(out, out + at, NAME_BYTES_MAX + 1 - at);
}
