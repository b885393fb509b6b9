/* SPDX-License-Identifier: Apache-2.0
 *
 * merge.c: what survives when layers are laid over each other.
 *
 * An entry is checked when it comes, acts at once when it is a whiteout, and else waits until its layer is complete. Each
 * node is made once and freed once, so the work is bounded by the number of entries.
 */
#include "image/merge.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"
#define META ".wh..wh." /* aufs' own bookkeeping, in old images */

struct queued {
	char *path, *text;
	enum merge_kind kind;
	unsigned mode;
	uint32_t number;
	int64_t mtime_s, size;
};

struct merge {
	struct nodes tree;
	struct content *contents;
	size_t n_contents, room_contents;
	struct queued *queue; /* of the layer that is being read */
	size_t n_queue, room_queue;
	int layer;
	uint32_t number;  /* of the next entry of the layer */
	uint32_t entries; /* of all layers */
	int64_t queued_bytes, bytes, most;
	merge_note *note;
	void *to;
};

static int refuse(struct err *e, const char *path, const char *why)
{
	return err_set(e, ERR_REFUSED, "%s: %s", name_shown(path), why);
}

static void note(struct merge *m, const char *path, const char *what)
{
	if (m->note)
		m->note(m->to, path, what);
}

/* --- whiteouts ----------------------------------------------------------------------------------- */

struct node *merge_root(struct merge *m)
{
	return &m->tree.root;
}

struct node *merge_find(struct merge *m, const char *path)
{
	return nodes_find(&m->tree, path);
}

/* `path` is a clean path whose last part, `last`, begins with ".wh.". */
static int white_out(
	struct merge *m, char *path, char *last, const struct merge_entry *entry, struct err *e)
{
	const char *name = last + strlen(WHITEOUT);

	if (!strncmp(last, META, strlen(META)) && strcmp(last, OPAQUE)) {
		note(m, path, "left out: bookkeeping of aufs");
		return 0;
	}
	if (entry->kind != MERGE_FILE && entry->kind != MERGE_NAME)
		return refuse(e, path, "a whiteout must be a file");
	if (!strcmp(name, "") || !strcmp(name, ".") || !strcmp(name, ".."))
		return refuse(e, path, "a whiteout of no name");
	if (!strcmp(last, OPAQUE)) {
		last[last > path ? -1 : 0] = 0;
		nodes_empty(&m->tree, merge_find(m, path));
		return 0;
	}
	memmove(last, name, strlen(name) + 1);
	nodes_remove(&m->tree, merge_find(m, path));
	return 0;
}

/* --- an entry ------------------------------------------------------------------------------------ */

/* What an entry must be, whatever else there is. */
static int check_entry(
	struct merge *m, const char *path, const struct merge_entry *entry, struct err *e)
{
	if (m->entries++ == MERGE_ENTRIES_MAX)
		return err_set(e, ERR_TOO_BIG, "%s: the image has more than %d entries",
			name_shown(path), MERGE_ENTRIES_MAX);
	if (entry->size < 0)
		return refuse(e, path, "its size is negative");
	if (entry->kind != MERGE_FILE)
		return 0;
	if (entry->size > m->most - m->bytes)
		return err_set(e, ERR_TOO_BIG,
			"%s: with its %" PRId64 " bytes the files are more than %" PRId64
			" MiB (--max-mib)",
			name_shown(path), entry->size, m->most / MIB);
	m->bytes += entry->size;
	return 0;
}

/* 1: goes into the tree; 0: does not; -1. */
static int check_kind(
	struct merge *m, const char *path, const struct merge_entry *entry, struct err *e)
{
	static const char *const names[] = {
		[MERGE_DEVICE] = "a device",
		[MERGE_FIFO] = "a FIFO",
		[MERGE_SOCKET] = "a socket",
		[MERGE_OTHER] = "of no kind that an image may hold",
	};
	char why[80];

	if (!*path && entry->kind != MERGE_FOLDER)
		return refuse(e, entry->path, "the root must be a folder");
	if (!*path)
		return 0;
	if (entry->kind < ARRAY_LEN(names) && names[entry->kind]) {
		if (!strncmp(path, "dev/", 4)) {
			note(m, path, "left out: the box has a /dev of its own");
			return 0;
		}
		snprintf(why, sizeof(why), "is %s, which no image here may hold",
			names[entry->kind]);
		return refuse(e, path, why);
	}
	if (entry->mode & 06000 && entry->kind == MERGE_FILE)
		note(m, path, "its set-user-id and set-group-id bits are dropped");
	return 1;
}

static int check_link(const char *path, const char *text, struct err *e)
{
	size_t n = strlen(text);

	if (n == 0 || n > TREE_LINK_MAX)
		return refuse(e, path, "a symbolic link's text must have 1 to 4095 bytes");
	return 0;
}

static int queue(struct merge *m, const char *path, const struct merge_entry *entry, struct err *e)
{
	char other[NAME_BYTES_MAX + 1] = "";
	const char *text = entry->kind == MERGE_LINK ? entry->text : other;

	if (entry->kind == MERGE_LINK && check_link(path, text, e))
		return -1;
	if (entry->kind == MERGE_NAME && name_clean(other, entry->text, e))
		return err_wrap(e, "%s: a hard link", name_shown(path));
	m->queued_bytes += (int64_t)(strlen(path) + strlen(text));
	if (m->queued_bytes > MERGE_TEXT_MAX)
		return err_set(e, ERR_TOO_BIG,
			"%s: the names of a layer take more than %" PRId64 " MiB", name_shown(path),
			MERGE_TEXT_MAX / MIB);
	array_room(&m->queue, &m->room_queue, m->n_queue, sizeof(*m->queue));
	m->queue[m->n_queue++] = (struct queued){ .path = xstrdup(path),
		.text = xstrdup(text),
		.kind = entry->kind,
		.mode = entry->mode & 0777,
		.number = m->number - 1,
		.mtime_s = entry->mtime_s,
		.size = entry->size };
	return 0;
}

/* The part of the path that begins with ".wh.", or NULL. */
static char *whiteout_part(char *path)
{
	for (char *p = path;; p++) {
		if (!strncmp(p, WHITEOUT, strlen(WHITEOUT)))
			return p;
		p += strcspn(p, "/");
		if (!*p)
			return NULL;
	}
}

int merge_add(struct merge *m, const struct merge_entry *entry, struct err *e)
{
	char path[NAME_BYTES_MAX + 1];
	char *white;
	int goes;

	m->number++;
	if (m->layer == MERGE_LAYERS_MAX)
		return err_set(
			e, ERR_TOO_BIG, "the image has more than %d layers", MERGE_LAYERS_MAX);
	if (name_clean(path, entry->path, e) || check_entry(m, path, entry, e))
		return -1;
	white = whiteout_part(path);
	if (white && strchr(white, '/'))
		return refuse(e, path, "lies in a whiteout");
	if (white)
		return white_out(m, path, white, entry, e);
	goes = check_kind(m, path, entry, e);
	return goes > 0 ? queue(m, path, entry, e) : goes;
}

/* --- a layer's entries, onto what its whiteouts left ------------------------------------------------- */

static int too_many(const char *path, struct err *e)
{
	return err_set(e, ERR_TOO_BIG, "%s: the image has more than %d files and folders",
		name_shown(path), MERGE_ENTRIES_MAX);
}

/* The folder that `path` lies in, made where it is missing; `last` becomes the path's last part. */
static struct node *folder_for(struct merge *m, const char *path, const char **last, struct err *e)
{
	char part[NAME_PART_MAX + 1];
	struct node *folder = &m->tree.root, *next;
	size_t n;

	for (const char *p = path; *last = p, p[n = strcspn(p, "/")]; p += n + 1) {
		memcpy(part, p, n);
		part[n] = 0;
		next = nodes_child(&m->tree, folder, part);
		if (next && next->kind != MERGE_FOLDER) {
			refuse(e, path,
				next->kind == MERGE_LINK ? "its way leads through a symbolic link"
							 : "its way leads through a file");
			return NULL;
		}
		if (!next) {
			next = nodes_add(&m->tree, folder, part);
			if (!next) {
				too_many(path, e);
				return NULL;
			}
			next->kind = MERGE_FOLDER;
			next->mode = 0755;
		}
		folder = next;
	}
	return folder;
}

/* What an entry will be, found before what stands in its place goes. */
struct shape_of_node {
	enum merge_kind kind;
	uint32_t content;
	const char *text;
	char copy[TREE_LINK_MAX + 1];
};

static int resolve_name(
	struct merge *m, const struct queued *q, struct shape_of_node *s, struct err *e)
{
	struct node *other = merge_find(m, q->text);
	char why[200];

	if (!strcmp(q->text, q->path))
		return refuse(e, q->path, "a hard link to itself");
	if (!other || other->kind == MERGE_FOLDER) {
		snprintf(why, sizeof(why),
			"a hard link to '%.120s', which is no file of the image before it",
			name_shown(q->text));
		return refuse(e, q->path, why);
	}
	s->kind = other->kind;
	s->content = other->content;
	if (other->text)
		s->text = strcpy(s->copy, other->text);
	return 0;
}

static int resolve(struct merge *m, const struct queued *q, struct shape_of_node *s, struct err *e)
{
	s->kind = q->kind;
	s->text = q->kind == MERGE_LINK ? q->text : NULL;
	s->content = 0;
	if (q->kind == MERGE_NAME)
		return resolve_name(m, q, s, e);
	if (q->kind != MERGE_FILE)
		return 0;
	array_room(&m->contents, &m->room_contents, m->n_contents, sizeof(*m->contents));
	s->content = (uint32_t)m->n_contents;
	m->contents[m->n_contents++] = (struct content){ .layer = m->layer,
		.number = q->number,
		.mode = q->mode,
		.mtime_s = q->mtime_s,
		.size = q->size };
	return 0;
}

static int put(struct merge *m, const struct queued *q, struct err *e)
{
	struct shape_of_node s;
	const char *last;
	struct node *folder, *node;

	if (resolve(m, q, &s, e))
		return -1;
	folder = folder_for(m, q->path, &last, e);
	if (!folder)
		return -1;
	node = nodes_child(&m->tree, folder, last);
	if (node && !(node->kind == MERGE_FOLDER && s.kind == MERGE_FOLDER)) {
		nodes_remove(&m->tree, node);
		node = NULL;
	}
	if (!node)
		node = nodes_add(&m->tree, folder, last);
	if (!node)
		return too_many(q->path, e);
	node->kind = s.kind;
	node->mode = q->mode;
	node->content = s.content;
	if (s.text && nodes_set_text(&m->tree, node, s.text))
		return err_set(e, ERR_TOO_BIG, "%s: the texts of all links take more than %" PRId64 " MiB",
			name_shown(q->path), NODES_TEXT_MAX / MIB);
	return 0;
}

static void empty_queue(struct merge *m)
{
	for (size_t i = 0; i < m->n_queue; i++) {
		free(m->queue[i].path);
		free(m->queue[i].text);
	}
	m->n_queue = 0;
	m->queued_bytes = 0;
}

int merge_layer_end(struct merge *m, struct err *e)
{
	int bad = 0;

	for (size_t i = 0; i < m->n_queue && !bad; i++)
		bad = put(m, &m->queue[i], e);
	empty_queue(m);
	m->layer++;
	m->number = 0;
	return bad;
}

/* --- before and after ----------------------------------------------------------------------------- */

struct merge *merge_new(int64_t most_bytes, merge_note *tell, void *to)
{
	struct merge *m = xcalloc(1, sizeof(*m));

	nodes_init(&m->tree);
	m->most = most_bytes;
	m->note = tell;
	m->to = to;
	return m;
}

void merge_free(struct merge *m)
{
	if (!m)
		return;
	nodes_empty(&m->tree, &m->tree.root);
	empty_queue(m);
	free(m->queue);
	free(m->contents);
	free(m);
}

struct content *merge_contents(struct merge *m, size_t *n)
{
	*n = m->n_contents;
	return m->contents;
}

static void name_contents(struct merge *m, struct node *node)
{
	for (struct node *n = node->child; n; n = n->next) {
		if (n->kind == MERGE_FILE) {
			struct content *c = &m->contents[n->content];

			n->next_name = c->names;
			c->names = n;
		}
		name_contents(m, n);
	}
}

void merge_names(struct merge *m)
{
	for (size_t i = 0; i < m->n_contents; i++)
		m->contents[i].names = NULL;
	name_contents(m, &m->tree.root);
}
