/* SPDX-License-Identifier: Apache-2.0
 *
 * flatten.c: layers into the tree that they make.
 *
 * Each layer is read twice: first its headers, from which merge.c decides what survives; then, layer by
 * layer, the contents that do. So folders go out first, then files in the order of the archives, each
 * with its other names, then symbolic links; and nothing but the index is ever held in memory.
 */
#include "image/image.h"
#include "image/notes.h"
#include "image/tarball.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct flatten {
	struct merge *m;
	struct tree_writer w;
	struct content *contents; /* in the order in which they will be met */
	size_t n, at;
	const struct image_options *o;
};

static int open_layer(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "opening layer %s", path) : fd;
}

static int index_layer(struct flatten *f, const char *path, struct err *e)
{
	auto_close int fd = open_layer(path, e);
	struct tarball *t = fd < 0 ? NULL : tarball_open(fd, path, f->o->most_bytes, e);
	struct merge_entry entry;
	int more;

	if (!t)
		return -1;
	while ((more = tarball_next(t, &entry, e)) > 0) {
		if (merge_add(f->m, &entry, e)) {
			err_wrap(e, "%s", path);
			break;
		}
	}
	tarball_close(t);
	if (more)
		return -1;
	return merge_layer_end(f->m, e) ? err_wrap(e, "%s", path) : 0;
}

static void write_folders(struct flatten *f, const struct node *folder)
{
	char path[NAME_BYTES_MAX + 1];

	for (const struct node *n = folder->child; n; n = n->next) {
		if (n->kind != MERGE_FOLDER)
			continue;
		node_path(path, n);
		tree_folder(&f->w, n->mode, path);
		write_folders(f, n);
	}
}

static void write_links(struct flatten *f, const struct node *folder)
{
	char path[NAME_BYTES_MAX + 1];

	for (const struct node *n = folder->child; n; n = n->next) {
		if (n->kind == MERGE_LINK) {
			node_path(path, n);
			tree_link(&f->w, path, n->text);
		}
		write_links(f, n);
	}
}

static int copy_contents(struct flatten *f, struct tarball *t, struct err *e)
{
	static char bytes[65536];
	ssize_t n;

	while ((n = tarball_read(t, bytes, sizeof(bytes), e)) > 0)
		tree_bytes(&f->w, bytes, (size_t)n);
	return n < 0 || f->w.owed ? -1 : 0;
}

static int write_file(struct flatten *f, struct tarball *t, const struct content *c, struct err *e)
{
	char path[NAME_BYTES_MAX + 1], other[NAME_BYTES_MAX + 1];

	node_path(path, c->names);
	tree_file(&f->w, c->mode, c->mtime_s, c->size, path);
	if (copy_contents(f, t, e))
		return err_wrap(e, "%s", name_shown(path));
	for (const struct node *n = c->names->next_name; n; n = n->next_name) {
		node_path(other, n);
		tree_name(&f->w, other, path);
	}
	return 0;
}

/* The next content that survived, if it is of this layer. */
static struct content *due(struct flatten *f, int layer)
{
	while (f->at < f->n && f->contents[f->at].layer <= layer && !f->contents[f->at].names)
		f->at++;
	return f->at < f->n && f->contents[f->at].layer == layer ? &f->contents[f->at] : NULL;
}

static int write_due(
	struct flatten *f, struct tarball *t, int layer, const char *path, struct err *e)
{
	struct merge_entry entry;
	struct content *c;

	for (uint32_t number = 0; (c = due(f, layer)); number++) {
		int more = tarball_next(t, &entry, e);

		if (more < 0)
			return -1;
		if (more == 0 || (number == c->number &&
					 (entry.kind != MERGE_FILE || entry.size != c->size)))
			return err_set(
				e, ERR_MALFORMED, "%s: is not what it was a moment ago", path);
		if (number < c->number)
			continue;
		if (write_file(f, t, c, e))
			return -1;
		f->at++;
	}
	return 0;
}

static int write_layer(struct flatten *f, int layer, const char *path, struct err *e)
{
	auto_close int fd = open_layer(path, e);
	struct tarball *t = fd < 0 ? NULL : tarball_open(fd, path, f->o->most_bytes, e);
	int bad = t ? write_due(f, t, layer, path, e) : -1;

	tarball_close(t);
	return bad;
}

static int flatten(struct flatten *f, char *const *paths, int n, FILE *out, struct err *e)
{
	for (int i = 0; i < n; i++) {
		if (index_layer(f, paths[i], e))
			return -1;
	}
	merge_names(f->m);
	f->contents = merge_contents(f->m, &f->n);
	tree_begin(&f->w, out);
	write_folders(f, merge_root(f->m));
	for (int i = 0; i < n; i++) {
		if (write_layer(f, i, paths[i], e))
			return -1;
	}
	write_links(f, merge_root(f->m));
	return tree_end(&f->w, e);
}

int image_flatten(
	char *const *paths, int n, FILE *out, const struct image_options *o, struct err *e)
{
	struct notes notes = { 0 };
	struct flatten f = { .m = merge_new(o->most_bytes, notes_add, &notes), .o = o };
	int bad = flatten(&f, paths, n, out, e);

	notes_end(&notes);
	merge_free(f.m);
	return bad;
}
