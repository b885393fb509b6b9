/* SPDX-License-Identifier: Apache-2.0
 *
 * blob_room.c: how much is in the store, and room for more.
 */
#include "common/blob_in.h"
#include "common/buf.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PARTIAL_AGE_S 86400 /* what nobody went on with for so long goes */

typedef int each_fn(struct blobs *s, const char *path, const struct stat *st, void *arg);

/* Call fn for every file in `dir`. */
static int each_file(struct blobs *s, const char *dir, each_fn *fn, void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	struct stat st;
	int bad = 0;

	while (d && !bad && (entry = readdir(d))) {
		auto_free char *path = xprintf("%s/%s", dir, entry->d_name);

		if (entry->d_name[0] != '.' && !lstat(path, &st))
			bad = fn(s, path, &st, arg);
	}
	if (d)
		closedir(d);
	return bad;
}

static int each_in_shard(struct blobs *s, const char *path, const struct stat *st, void *arg)
{
	struct {
		each_fn *fn;
		void *arg;
	} *inner = arg;

	return S_ISDIR(st->st_mode) ? each_file(s, path, inner->fn, inner->arg) : 0;
}

static int each_blob(struct blobs *s, each_fn *fn, void *arg)
{
	struct {
		each_fn *fn;
		void *arg;
	} inner = { fn, arg };
	auto_free char *dir = xprintf("%s/sha256", s->dir);

	return each_file(s, dir, each_in_shard, &inner);
}

static int count(struct blobs *s, const char *path, const struct stat *st, void *arg)
{
	(void)path, (void)arg;
	s->bytes += st->st_size;
	return 0;
}

static int count_partial(struct blobs *s, const char *path, const struct stat *st, void *arg)
{
	if (st->st_mtime < *(time_t *)arg)
		unlink(path);
	else
		s->bytes += st->st_size;
	return 0;
}

/* A layer whose blob never got its name, or went while we were not looking. */
static int drop_orphan(struct blobs *s, const char *path, const struct stat *st, void *arg)
{
	struct digest d;

	if (st->st_mtime < *(time_t *)arg &&
		(!digest_from_hex(&d, strrchr(path, '/') + 1) || blob_size(s, &d) < 0))
		unlink(path);
	return 0;
}

void blobs_count(struct blobs *s)
{
	auto_free char *partial = xprintf("%s/partial", s->dir);
	auto_free char *layers = xprintf("%s/layers", s->dir);
	time_t oldest = time(NULL) - PARTIAL_AGE_S;

	each_blob(s, count, NULL);
	each_file(s, partial, count_partial, &oldest);
	each_file(s, layers, drop_orphan, &oldest);
}

/* --- making room ------------------------------------------------------------------------------ */

struct candidate {
	struct digest d;
	int64_t size;
	struct timespec used;
};

struct candidates {
	struct candidate *at;
	size_t n, room;
	bool (*keep)(void *arg, const struct digest *d);
	void *arg;
};

static int collect(struct blobs *s, const char *path, const struct stat *st, void *arg)
{
	struct candidates *all = arg;
	struct candidate c = { .size = st->st_size, .used = st->st_atim };

	(void)s;
	if (!digest_from_hex(&c.d, strrchr(path, '/') + 1) || all->keep(all->arg, &c.d))
		return 0;
	array_room(&all->at, &all->room, all->n, sizeof(*all->at));
	all->at[all->n++] = c;
	return 0;
}

static int by_use(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

int blobs_make_room(struct blobs *s, int64_t n, bool (*keep)(void *arg, const struct digest *d),
	void *arg, struct err *e)
{
	struct candidates all = { .keep = keep, .arg = arg };

	if (!s->quota || s->bytes + s->beside + n <= s->quota)
		return 0;
	each_blob(s, collect, &all);
	if (all.n)
		qsort(all.at, all.n, sizeof(*all.at), by_use);
	for (size_t i = 0; i < all.n && s->bytes + s->beside + n > s->quota; i++)
		if (blob_remove(s, &all.at[i].d, e))
			break;
	free(all.at);
	return blobs_fit(s, n, e);
}
