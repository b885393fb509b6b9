/* SPDX-License-Identifier: Apache-2.0
 *
 * blob.c: the content-addressed store on a folder.
 *
 * A partial file belongs to one writer at a time (flock), so a second process with the same tag is
 * refused rather than mixed in. What counts against the quota is counted at open and then
 * kept up to date by this process; another process's writing is seen at the next open.
 * blob_room.c counts and makes room, blob_parts.c writes piece by piece, blob_layer.c keeps the layers.
 */
#include "common/blob_in.h"
#include "common/buf.h"

#include <assert.h>
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

struct blob_in {
	struct blobs *store;
	char *path;
	int fd;
	bool expects;
	struct digest expect;
	int64_t size; /* -1: any */
	int64_t offset, unread; /* bytes held; of these, at their end, not hashed yet */
	struct hasher *hash;
	struct layer *layer;
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

/* --- in --------------------------------------------------------------------------------------- */

static bool tag_ok(const char *tag)
{
	size_t n = strlen(tag);

	return n > 0 && n <= BLOB_TAG_MAX && tag[0] != '.' &&
	       strspn(tag, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
	               n;
}

static void in_free(struct blob_in *in)
{
	if (in->fd >= 0)
		close(in->fd);
	hasher_free(in->hash);
	layer_free(in->layer);
	free(in->path);
	free(in);
}

/* What an earlier writer left counts from here on, and is to be hashed. */
static int resume(struct blob_in *in, struct err *e)
{
	struct stat st;

	if (fstat(in->fd, &st))
		return err_sys(e, "looking at %s", in->path);
	if (in->size >= 0 && st.st_size > in->size) {
		blobs_forget(in->store, st.st_size);
		if (ftruncate(in->fd, 0))
			return err_sys(e, "restarting %s", in->path);
		st.st_size = 0;
	}
	in->offset = in->unread = st.st_size;
	return 0;
}

int blob_in_read(struct blob_in *in, int64_t max, struct err *e)
{
	auto_free char *part = xmalloc(PART);

	while (in->unread > 0 && max > 0) {
		size_t want = (size_t)(in->unread < (int64_t)PART ? in->unread : (int64_t)PART);
		ssize_t got = read(in->fd, part, want);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "reading %s", in->path);
		if (got == 0)
			return err_set(e, ERR_SYSTEM, "%s became shorter", in->path);
		hasher_add(in->hash, part, (size_t)got);
		layer_add(in->layer, part, (size_t)got);
		in->unread -= got;
		max -= got;
	}
	return 0;
}

int64_t blob_in_unread(const struct blob_in *in)
{
	return in->unread;
}

int64_t blob_in_left(const struct blobs *s, const char *tag)
{
	auto_free char *path = xprintf("%s/partial/%s", s->dir, tag);
	struct stat st;

	return tag_ok(tag) && !lstat(path, &st) && S_ISREG(st.st_mode) ? st.st_size : 0;
}

int blobs_fit(const struct blobs *s, int64_t more, struct err *e)
{
	if (s->quota && s->bytes + s->beside + more > s->quota)
		return err_set(e, ERR_FULL, "the blob store's quota of %lld MiB is used up",
			(long long)(s->quota / MIB));
	return 0;
}

int partial_own(const char *path, int *fd, struct err *e)
{
	auto_close int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat mine, there;

	if (file < 0 && errno == EACCES &&
		!chmod(path, 0600)) /* a crash came between 0444 and its name */
		file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (file < 0)
		return err_sys(e, "creating %s", path);
	if (flock(file, LOCK_EX | LOCK_NB))
		return err_set(e, ERR_CONFLICT, "somebody else is writing %s", path);
	if (fstat(file, &mine))
		return err_sys(e, "looking at %s", path);
	if (lstat(path, &there) || there.st_ino != mine.st_ino || there.st_dev != mine.st_dev)
		return err_set(e, ERR_CONFLICT, "somebody else has just finished %s", path);
	*fd = file;
	file = -1;
	return 0;
}

int blob_in_reopen(struct blob_in **out, struct blobs *s, const char *tag,
	const struct digest *expect, int64_t size, struct err *e)
{
	if (!tag_ok(tag))
		return err_set(e, ERR_INTERNAL, "\"%s\" is no name for an upload", tag);
	if (size > BLOB_SIZE_MAX)
		return err_set(e, ERR_TOO_BIG, "a blob of %lld bytes; at most %lld are taken",
			(long long)size, (long long)BLOB_SIZE_MAX);
	struct blob_in *in = xcalloc(1, sizeof(*in));
	in->store = s;
	in->size = size;
	in->path = xprintf("%s/partial/%s", s->dir, tag);
	in->hash = hasher_new();
	in->layer = layer_new(0);
	in->expects = expect != NULL;
	if (expect)
		in->expect = *expect;
	in->fd = -1;
	if (!partial_own(in->path, &in->fd, e)) {
		if (!resume(in, e) && !(size > 0 && blobs_fit(s, size - in->offset, e))) {
			*out = in;
			return 0;
		}
		if (in->offset == 0)
			unlink(in->path);
	}
	in_free(in);
	return -1;
}

int blob_in_start(struct blob_in **out, struct blobs *s, const char *tag,
	const struct digest *expect, int64_t size, struct err *e)
{
	if (blob_in_reopen(out, s, tag, expect, size, e))
		return -1;
	if (!blob_in_read(*out, INT64_MAX, e))
		return 0;
	in_free(TAKE(*out));
	return -1;
}

int64_t blob_in_offset(const struct blob_in *in)
{
	return in->offset;
}

int blob_in_add(struct blob_in *in, const void *bytes, size_t n, struct err *e)
{
	int64_t max = in->size >= 0 ? in->size : BLOB_SIZE_MAX;

	assert(!in->unread);
	if ((int64_t)n > max - in->offset)
		return err_set(e, ERR_TOO_BIG, "more bytes than the %lld that were announced",
			(long long)max);
	if (blobs_fit(in->store, (int64_t)n, e))
		return -1;
	if (fd_write_all(in->fd, bytes, n, e)) {
		/* what was written in part must not stay between us and the digest */
		if (ftruncate(in->fd, in->offset) || lseek(in->fd, in->offset, SEEK_SET) < 0)
			e->code = ERR_SYSTEM;
		return err_wrap(e, "the blob store");
	}
	hasher_add(in->hash, bytes, n);
	layer_add(in->layer, bytes, n);
	in->offset += (int64_t)n;
	in->store->bytes += (int64_t)n;
	return 0;
}

static int sync_dir(const char *path, struct err *e)
{
	auto_free char *dir = xstrdup(path);

	*strrchr(dir, '/') = '\0';
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? err_sys(e, "syncing %s", dir) : 0;
}

int partial_name(struct blobs *s, int fd, const char *partial, int64_t size, const struct digest *d,
	struct err *e)
{
	auto_free char *path = blob_path(s, d);
	auto_free char *dir = xstrdup(path);
	int64_t had = blob_size(s, d);
	struct stat st;

	*strrchr(dir, '/') = '\0';
	int made = mkdir(dir, 0700);
	if ((made && errno != EEXIST && err_sys(e, "making %s", dir)) ||
		(!made && sync_dir(dir, e)))
		return -1;
	if (fchmod(fd, 0444) || fsync(fd) || fstat(fd, &st))
		return err_sys(e, "syncing %s", partial);
	if (st.st_size != size)
		return err_set(e, ERR_SYSTEM, "%s has %lld bytes, not the %lld that were hashed",
			partial, (long long)st.st_size, (long long)size);
	if (rename(partial, path))
		return err_sys(e, "naming blob");
	if (had >= 0)
		blobs_forget(s, had);
	if (sync_dir(path, e)) {
		unlink(path);
		return -1;
	}
	blobs_remember(s, d, &st);
	return 0;
}

int blob_in_finish(struct blob_in *in, struct blob *b, struct err *e)
{
	int64_t size = in->offset;

	assert(!in->unread);
	if (in->size >= 0 && size != in->size) {
		err_set(e, ERR_DIGEST, "%lld bytes came, %lld were announced", (long long)size,
			(long long)in->size);
		blob_in_drop(in);
		return -1;
	}
	struct digest d = hasher_end(in->hash), root;
	if (in->expects && !digest_equal(&d, &in->expect)) {
		char text[DIGEST_TEXT + 1];

		digest_text(text, &d);
		err_set(e, ERR_DIGEST, "the bytes are %s, not what was announced", text);
		blob_in_drop(in);
		return -1;
	}
	blob_layer_end(in->store, &d, in->layer, &root);
	if (partial_name(in->store, in->fd, in->path, size, &d, e)) {
		blob_in_drop(in);
		return -1;
	}
	if (b)
		*b = (struct blob){ .digest = d, .root = root, .size = size };
	in_free(in);
	return 0;
}

void blob_in_leave(struct blob_in *in)
{
	in_free(in);
}

void blob_in_drop(struct blob_in *in)
{
	unlink(in->path);
	blobs_forget(in->store, in->offset);
	in_free(in);
}

/* A tag nobody else has. */
static void fresh_tag(char tag[40])
{
	snprintf(tag, 40, "put-%016llx", (unsigned long long)random_seed());
}

int blob_put_fd(struct blobs *s, int fd, struct blob *b, struct err *e)
{
	struct blob_in *in;
	char tag[40];
	auto_free char *part = xmalloc(65536);
	ssize_t got;

	fresh_tag(tag);
	if (blob_in_start(&in, s, tag, NULL, -1, e))
		return -1;
	while ((got = read(fd, part, 65536)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 ? err_sys(e, "reading") : blob_in_add(in, part, (size_t)got, e)) {
			blob_in_drop(in);
			return -1;
		}
	}
	return blob_in_finish(in, b, e);
}

int blob_put(struct blobs *s, const void *bytes, size_t n, struct blob *b, struct err *e)
{
	struct blob_in *in;
	char tag[40];

	fresh_tag(tag);
	if (blob_in_start(&in, s, tag, NULL, (int64_t)n, e))
		return -1;
	if (blob_in_add(in, bytes, n, e)) {
		blob_in_drop(in);
		return -1;
	}
	return blob_in_finish(in, b, e);
}
