/* SPDX-License-Identifier: Apache-2.0
 *
 * split.c: an image as people have it, into its configuration and its layers.
 *
 * The archive is read twice. First everything is listed (by merge.c, as a layer by itself) and what may be
 * JSON is kept; layout.c then says which entries are layers, and these go out in the order in which they stand
 * in the archive, their digests checked on the way. A root file system is its own only layer.
 */
#include "image/image.h"
#include "image/tarball.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT "standard input"
#define JSON_FILES_MAX 4096     /* small files that begin like JSON */
#define JSON_ALL_MAX (16 * MIB) /* bytes of them */
#define LINKS_MAX 8             /* symbolic links to a layer, one to the next */

struct kept {
	uint32_t number;
	char *text;
	size_t n;
};

struct split {
	int fd;
	const struct image_options *o;
	struct merge *m;
	struct kept kept[JSON_FILES_MAX];
	size_t n_kept, kept_bytes;
	bool kept_all;
	struct content *of_layer[MERGE_LAYERS_MAX];
	struct layout l;
	struct tree_writer w;
};

/* --- first reading -------------------------------------------------------------------------------------- */

/* An image's documents lie at the top or among the blobs, and begin so. */
static bool may_be_json(const char *path)
{
	return !strchr(path, '/') || !strncmp(path, "blobs/", 6);
}

static int keep(struct split *s, struct tarball *t, const struct merge_entry *entry,
	uint32_t number, struct err *e)
{
	size_t size = (size_t)entry->size, at = 1;
	char first;
	ssize_t n = tarball_read(t, &first, 1, e);
	char *text;

	if (n < 0 || (first != '{' && first != '['))
		return n < 0 ? -1 : 0;
	if (s->n_kept == JSON_FILES_MAX || s->kept_bytes + size > JSON_ALL_MAX) {
		s->kept_all = false;
		return 0;
	}
	text = xmalloc(size);
	text[0] = first;
	while (at < size && (n = tarball_read(t, text + at, size - at, e)) > 0)
		at += (size_t)n;
	if (n < 0) {
		free(text);
		return -1;
	}
	s->kept_bytes += size;
	s->kept[s->n_kept++] = (struct kept){ number, text, size };
	return 0;
}

static int list_entry(struct split *s, struct tarball *t, const struct merge_entry *entry,
	uint32_t number, struct err *e)
{
	char path[NAME_BYTES_MAX + 1];

	if (merge_add(s->m, entry, e))
		return err_wrap(e, INPUT);
	if (entry->kind != MERGE_FILE || entry->size < 1 || entry->size > LAYOUT_JSON_MAX)
		return 0;
	if (name_clean(path, entry->path, e))
		return -1;
	return may_be_json(path) ? keep(s, t, entry, number, e) : 0;
}

static int list(struct split *s, struct err *e)
{
	struct tarball *t = tarball_open(s->fd, INPUT, s->o->most_bytes, e);
	struct merge_entry entry;
	int more = -1;

	for (uint32_t number = 0; t && (more = tarball_next(t, &entry, e)) > 0; number++) {
		if (list_entry(s, t, &entry, number, e)) {
			more = -1;
			break;
		}
	}
	if (more == 0 && !tarball_had_end(t))
		more = err_set(
			e, ERR_MALFORMED, INPUT ": the archive has no end: it was cut short");
	tarball_close(t);
	if (more)
		return -1;
	return merge_layer_end(s->m, e) ? err_wrap(e, INPUT) : 0;
}

/* --- finding files ---------------------------------------------------------------------------------------- */

/* Where a link in the folder of `path` leads to, as a clean path; false when it leaves the archive. */
static bool follow(char out[NAME_BYTES_MAX + 1], const char *path, const char *text)
{
	char joined[2 * NAME_BYTES_MAX + 2];
	const char *slash = strrchr(path, '/');
	int n = slash && *text != '/' ? (int)(slash - path) + 1 : 0;
	struct err ignored;

	snprintf(joined, sizeof(joined), "%.*s", n, path);
	while (!strncmp(text, "../", 3)) { /* docker's own links climb only at their beginning */
		char *up;

		if (!joined[0])
			return false;
		joined[strlen(joined) - 1] = 0;
		up = strrchr(joined, '/');
		joined[up ? up - joined + 1 : 0] = 0;
		text += 3;
	}
	snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s", text);
	return !name_clean(out, joined, &ignored);
}

static struct content *find(struct split *s, const char *path)
{
	char at[NAME_BYTES_MAX + 1], next[NAME_BYTES_MAX + 1];
	struct node *node;
	size_t n;

	strcpy(at, path);
	for (int i = 0; i < LINKS_MAX; i++) {
		node = merge_find(s->m, at);
		if (!node || node->kind == MERGE_FOLDER)
			return NULL;
		if (node->kind == MERGE_FILE)
			return &merge_contents(s->m, &n)[node->content];
		if (!follow(next, at, node->text))
			return NULL;
		strcpy(at, next);
	}
	return NULL;
}

static int get(void *from, const char *path, const char **text, size_t *n, struct err *e)
{
	struct split *s = from;
	struct content *c = find(s, path);

	if (!c)
		return 0;
	for (size_t i = 0; i < s->n_kept; i++) {
		if (s->kept[i].number == c->number) {
			*text = s->kept[i].text;
			*n = s->kept[i].n;
			return 1;
		}
	}
	if (!s->kept_all)
		return err_set(e, ERR_TOO_BIG,
			"%s: the archive has more than %d JSON files or %" PRId64 " MiB of them",
			name_shown(path), JSON_FILES_MAX, JSON_ALL_MAX / MIB);
	return err_set(e, ERR_MALFORMED, "%s: is no JSON of at most %" PRId64 " bytes",
		name_shown(path), LAYOUT_JSON_MAX);
}

static int find_layers(struct split *s, struct err *e)
{
	for (int i = 0; i < s->l.n_layers; i++) {
		const struct layout_layer *l = &s->l.layers[i];
		struct content *c = find(s, l->path);

		if (!c)
			return err_set(e, ERR_NOT_FOUND, "layer %d, %s: is missing in the image", i,
				name_shown(l->path));
		if (l->size >= 0 && l->size != c->size)
			return err_set(e, ERR_DIGEST,
				"layer %d, %s: has %" PRId64 " bytes, and not the %" PRId64
				" that the manifest tells",
				i, name_shown(l->path), c->size, l->size);
		s->of_layer[i] = c;
	}
	return 0;
}

/* --- second reading ----------------------------------------------------------------------------------------- */

static void layer_name(char out[32], int i)
{
	snprintf(out, 32, "layer-%d", i);
}

static int copy(struct split *s, struct tarball *t, char hex[SHA_HEX + 1], struct err *e)
{
	static char bytes[65536];
	struct sha *sha = sha_new();
	ssize_t n;

	while ((n = tarball_read(t, bytes, sizeof(bytes), e)) > 0) {
		sha_add(sha, bytes, (size_t)n);
		tree_bytes(&s->w, bytes, (size_t)n);
	}
	sha_end(sha, hex);
	return n < 0 || s->w.owed ? -1 : 0;
}

/* The same bytes may be several layers (an empty one often is): the first gets them, the others its name. */
static int write_layer(struct split *s, struct tarball *t, int first, struct err *e)
{
	char name[32], other[32], hex[SHA_HEX + 1];
	struct content *c = s->of_layer[first];

	layer_name(name, first);
	tree_file(&s->w, 0644, 0, c->size, name);
	if (copy(s, t, hex, e))
		return -1;
	for (int i = first; i < s->l.n_layers; i++) {
		if (s->of_layer[i] != c)
			continue;
		if (s->l.layers[i].sha256[0] && strcmp(s->l.layers[i].sha256, hex))
			return err_set(e, ERR_DIGEST,
				"layer %d, %s: its bytes do not have that digest", i,
				name_shown(s->l.layers[i].path));
		layer_name(other, i);
		if (i > first)
			tree_name(&s->w, other, name);
	}
	return 0;
}

static int first_layer_of(const struct split *s, uint32_t number)
{
	for (int i = 0; i < s->l.n_layers; i++) {
		if (s->of_layer[i]->number == number)
			return i;
	}
	return -1;
}

static int write_layers(struct split *s, struct err *e)
{
	struct tarball *t = tarball_open(s->fd, INPUT, s->o->most_bytes, e);
	struct merge_entry entry;
	int more = -1;

	for (uint32_t number = 0; t && (more = tarball_next(t, &entry, e)) > 0; number++) {
		int i = first_layer_of(s, number);

		if (i >= 0 && (entry.kind != MERGE_FILE || entry.size != s->of_layer[i]->size))
			more = err_set(e, ERR_MALFORMED, INPUT ": is not what it was a moment ago");
		if (more < 0 || (i >= 0 && write_layer(s, t, i, e))) {
			more = -1;
			break;
		}
	}
	tarball_close(t);
	return more;
}

static int write_itself(struct split *s, struct err *e)
{
	static char bytes[65536];
	struct stat st;
	ssize_t n = 0;

	if (fstat(s->fd, &st) || lseek(s->fd, 0, SEEK_SET) < 0)
		return err_sys(e, INPUT);
	tree_file(&s->w, 0644, 0, st.st_size, "layer-0");
	while (s->w.owed && (n = read(s->fd, bytes, sizeof(bytes))) > 0)
		tree_bytes(&s->w, bytes, (int64_t)n < s->w.owed ? (size_t)n : (size_t)s->w.owed);
	if (n < 0)
		return err_sys(e, "reading " INPUT);
	return s->w.owed ? err_set(e, ERR_MALFORMED, INPUT ": is not what it was a moment ago") : 0;
}

static int write_all(struct split *s, FILE *out, struct err *e)
{
	size_t n = strlen(s->l.json);

	tree_begin(&s->w, out);
	tree_file(&s->w, 0644, 0, (int64_t)n, "image.json");
	tree_bytes(&s->w, s->l.json, n);
	if (s->l.n_layers ? write_layers(s, e) : write_itself(s, e))
		return -1;
	return tree_end(&s->w, e);
}

int image_split(int fd, FILE *out, const struct image_options *o, struct err *e)
{
	struct split *s = xcalloc(1, sizeof(*s));
	struct layout_source source = { get, s };
	int bad;

	s->fd = fd;
	s->o = o;
	s->kept_all = true;
	s->m = merge_new(o->most_bytes, NULL, NULL);
	bad = list(s, e) || layout_read(&s->l, &source, &o->platform, e) || find_layers(s, e) ||
	      write_all(s, out, e);
	layout_release(&s->l);
	for (size_t i = 0; i < s->n_kept; i++)
		free(s->kept[i].text);
	merge_free(s->m);
	free(s);
	return bad ? -1 : 0;
}
