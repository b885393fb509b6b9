/* SPDX-License-Identifier: Apache-2.0
 *
 * blob.c: the content-addressed store on a folder.
 *
 * What counts against the quota is counted at open and then kept up to date by this process; another process's writing is
 * seen at the next open. blob_room.c counts and makes room, blob_stream.c writes front to end, blob_parts.c piece by piece,
 * blob_layer.c keeps the layers.
 */
#include "common/blob_in.h"
#include "common/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PART 65536 /* bytes read at once */
#define SEEN_SETS                                                                                  \
	512 /* verified blobs remembered, 72 bytes each: in sets of eight by their digest */
#define SEEN_WAYS 8

/* A blob that this process has verified, as it was then. */
struct seen {
	struct digest d;
	ino_t inode;
	off_t size;
	struct timespec mtime;
};

char *blob_path(const struct blobs *s, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, d);
	return xprintf("%s/sha256/%.2s/%s", s->dir, hex, hex);
}

int64_t blobs_bytes(const struct blobs *s)
{
	return s->bytes;
}

void blobs_beside(struct blobs *s, int64_t more)
{
	s->beside += more;
}

int blobs_fit(const struct blobs *s, int64_t more, struct err *e)
{
	if (s->quota && s->bytes + s->beside + more > s->quota)
		return err_set(e, ERR_FULL, "the blob store's quota of %lld MiB is used up",
			(long long)(s->quota / MIB));
	return 0;
}

/* --- what is there ---------------------------------------------------------------------------- */

void blobs_forget(struct blobs *s, int64_t n)
{
	s->bytes = n < s->bytes ? s->bytes - n : 0;
}

int blobs_open(struct blobs **out, const char *dir, int64_t quota_bytes, struct err *e)
{
	struct blobs *s = xcalloc(1, sizeof(*s));
	auto_free char *whole = xprintf("%s/sha256", dir);
	auto_free char *partial = xprintf("%s/partial", dir);
	auto_free char *layers = xprintf("%s/layers", dir);

	s->dir = xstrdup(dir);
	s->quota = quota_bytes;
	s->seen = xcalloc(SEEN_SETS * SEEN_WAYS, sizeof(*s->seen));
	for (size_t i = 0; i < SEEN_SETS * SEEN_WAYS; i++)
		s->seen[i].size = -1;
	if (make_dirs(whole, 0700, e) || make_dirs(partial, 0700, e) ||
		make_dirs(layers, 0700, e)) {
		blobs_close(s);
		return err_wrap(e, "the blob store");
	}
	blobs_count(s);
	*out = s;
	return 0;
}

void blobs_close(struct blobs *s)
{
	if (!s)
		return;
	free(s->seen);
	free(s->dir);
	free(s);
}

int64_t blob_size(struct blobs *s, const struct digest *d)
{
	auto_free char *path = blob_path(s, d);
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) ? st.st_size : -1;
}

int blob_hash_fd(int fd, struct hasher *h, struct layer *l, int64_t *n, struct err *e)
{
	auto_free char *part = xmalloc(PART);
	ssize_t got;

	*n = 0;
	while ((got = read(fd, part, PART)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "reading");
		if (h)
			hasher_add(h, part, (size_t)got);
		if (l)
			layer_add(l, part, (size_t)got);
		*n += got;
	}
	return 0;
}

/* --- out -------------------------------------------------------------------------------------- */

static struct seen *seen_set(const struct blobs *s, const struct digest *d)
{
	return &s->seen[(size_t)(d->b[0] << 8 | d->b[1]) % SEEN_SETS * SEEN_WAYS];
}

static struct seen *find_seen(const struct blobs *s, const struct digest *d)
{
	struct seen *set = seen_set(s, d);

	for (size_t i = 0; i < SEEN_WAYS; i++)
		if (set[i].size >= 0 && digest_equal(&set[i].d, d))
			return &set[i];
	return NULL;
}

static bool still_same(const struct seen *seen, const struct stat *st)
{
	return seen && seen->inode == st->st_ino && seen->size == st->st_size &&
	       seen->mtime.tv_sec == st->st_mtim.tv_sec &&
	       seen->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

void blobs_remember(struct blobs *s, const struct digest *d, const struct stat *st)
{
	struct seen *at = find_seen(s, d), *set = seen_set(s, d);

	for (size_t i = 0; !at && i < SEEN_WAYS; i++)
		if (set[i].size < 0)
			at = &set[i];
	if (!at)
		at = &set[d->b[2] % SEEN_WAYS];
	*at = (struct seen){ *d, st->st_ino, st->st_size, st->st_mtim };
}

/* All of it is read here, so this is also where a blob without a layer gets one. */
static int verify_fd(struct blobs *s, int fd, int64_t size, const struct digest *d, struct err *e)
{
	struct layer *l = blob_layer_kept(s, d, size) ? NULL : layer_new(0);
	struct hasher *h = hasher_new();
	int64_t n;
	int bad = blob_hash_fd(fd, h, l, &n, e);
	struct digest found = hasher_end(h);

	if (!bad && lseek(fd, 0, SEEK_SET) < 0)
		bad = err_sys(e, "rewinding");
	if (!bad && !digest_equal(&found, d))
		bad = err_set(e, ERR_DIGEST, "damaged on this disk");
	if (!bad && l)
		blob_layer_end(s, d, l, NULL);
	hasher_free(h);
	layer_free(l);
	return bad;
}

/* The access time is ours to keep: mounts with noatime would lose it. mtime stays. */
static void mark_used(int fd)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_OMIT } };

	if (futimens(fd, times))
		return; /* somebody else's file: it only ages */
}

int blob_open(struct blobs *s, const struct digest *d, int *fd, int64_t *size, struct err *e)
{
	char text[DIGEST_TEXT + 1];
	auto_free char *path = blob_path(s, d);
	auto_close int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	digest_text(text, d);
	if (file < 0 && errno == ENOENT)
		return err_set(e, ERR_UNKNOWN_BLOB, "%s is not here", text);
	if (file < 0 || fstat(file, &st))
		return err_sys(e, "opening blob %s", text);
	if (!still_same(find_seen(s, d), &st)) {
		if (verify_fd(s, file, st.st_size, d, e)) {
			if (e->code == ERR_DIGEST && !unlink(path)) {
				blob_layer_remove(s, d);
				blobs_forget(s, st.st_size);
				e->code = ERR_UNKNOWN_BLOB;
			}
			return err_wrap(e, "blob %s", text);
		}
		blobs_remember(s, d, &st);
	}
	mark_used(file);
	*size = st.st_size;
	*fd = file;
	file = -1;
	return 0;
}

int blob_read(
	struct blobs *s, const struct digest *d, char **out, size_t *n, size_t max, struct err *e)
{
	auto_close int fd = -1;
	int64_t size;

	*out = NULL;
	if (blob_open(s, d, &fd, &size, e))
		return -1;
	if ((uint64_t)size > max)
		return err_set(e, ERR_TOO_BIG, "a blob of %lld bytes; at most %zu are taken here",
			(long long)size, max);
	return fd_read_all(out, n, fd, max, e);
}

int blob_remove(struct blobs *s, const struct digest *d, struct err *e)
{
	auto_free char *path = blob_path(s, d);
	int64_t size = blob_size(s, d);

	if (size < 0)
		return 0;
	if (unlink(path))
		return err_sys(e, "removing blob");
	blob_layer_remove(s, d);
	blobs_forget(s, size);
	return 0;
}
